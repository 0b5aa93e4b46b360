#!/usr/bin/env bash
# Compares the time of one Linux boot on QEMU TCG and on Gnomon in its modes; see --help.
set -u -o pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
JAVA=${JAVA:-java}
GNOMON_JAR=${GNOMON_JAR:-$(dirname "$here")/target/gnomon.jar}
# As for bench/peers/compare.sh: one collector thread and fewer instructions of the host for each reference.
JAVA_OPTS=${JAVA_OPTS--XX:+UseSerialGC -XX:-UseCompressedOops}
GNOMON=${GNOMON:-$JAVA $JAVA_OPTS -jar $GNOMON_JAR}
QEMU=${QEMU:-qemu-system-x86_64}
append='console=ttyS0 earlyprintk=serial,ttyS0,115200 acpi=off noapic nolapic nohpet tsc=reliable no_timer_check mitigations=off panic=-1 reboot=t cryptomgr.notests'
all_peers="qemu gnomon-native gnomon-ept gnomon-shadow"
peers=$all_peers
rounds=3
memory=128M
marker='reboot: machine restart'
limit=600
kernel=
initrd=
json=

usage() {
  cat <<EOF
usage: boot.sh --kernel FILE --initrd FILE [OPTION]...

Boots one kernel on QEMU TCG and on Gnomon, natively, under EPT and under shadow paging, in interleaved rounds, to the
reset at the end of its userland, and prints medians and the demanded ratios as Markdown (stdout); messages go to
stderr. Everything counts: start of the process, unpacking, HotSpot's compilers, all threads.

  --kernel FILE   bzImage; QEMU starts it by its firmware and its own decompressor, Gnomon unpacks it itself
  --initrd FILE   initial RAM disk whose userland ends by a reboot
  --append TEXT   command line (default: $append)
  --rounds N      rounds (default $rounds)
  --peers LIST    comma-separated, of: ${all_peers// /,}
  --memory SIZE   guest memory, as both take it (default $memory)
  --marker TEXT   what a complete boot ends with on the console (default: $marker)
  --timeout S     wall-clock limit of one boot in seconds (default $limit)
  --out json:FILE all samples and ratios as JSON
  --help          this text

environment: JAVA, JAVA_OPTS (now "$JAVA_OPTS"), GNOMON_JAR, GNOMON (the whole command), QEMU

example:
  apt-get install qemu-system-x86 time
  apt-get download linux-image-6.1.0-56-cloud-amd64 busybox-static && for deb in *.deb; do dpkg -x \$deb debian; done
  echo 'echo hello; reboot -f' >script.sh
  java -jar bench/target/gnomon.jar initramfs --busybox debian/bin/busybox --script script.sh --out initrd.cpio
  bench/linux/boot.sh --kernel debian/boot/vmlinuz-6.1.0-56-cloud-amd64 --initrd initrd.cpio

exit codes: 0 done, 1 something is missing or a boot failed, 2 usage, 5 a demanded ratio was missed
EOF
}

message() {
  printf 'boot.sh: %s\n' "$*" >&2
}

usage_error() {
  message "$* (--help lists the options)"
  exit 2
}

while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --kernel | --initrd | --append | --rounds | --peers | --memory | --marker | --timeout | --out)
      [ $# -ge 2 ] || usage_error "$1: expected a value" ;;
    *) usage_error "unknown option '$1'" ;;
  esac
  case $1 in
    --kernel) kernel=$2 ;;
    --initrd) initrd=$2 ;;
    --append) append=$2 ;;
    --memory) memory=$2 ;;
    --marker) marker=$2 ;;
    --rounds) [[ $2 =~ ^[1-9][0-9]{0,3}$ ]] || usage_error "--rounds: '$2': expected a number from 1 to 9999"; rounds=$2 ;;
    --timeout) [[ $2 =~ ^[1-9][0-9]{0,5}$ ]] || usage_error "--timeout: '$2': expected seconds, from 1"; limit=$2 ;;
    --out) [[ $2 =~ ^json:.+$ ]] || usage_error "--out: '$2': expected json:FILE"; json=${2#json:} ;;
    --peers)
      peers=${2//,/ }
      for peer in $peers; do
        case " $all_peers " in
          *" $peer "*) ;;
          *) usage_error "--peers: '$peer': expected one of: $all_peers" ;;
        esac
      done ;;
  esac
  shift 2
done
[ -n "$peers" ] || usage_error "--peers: expected at least one of: $all_peers"
for option in kernel initrd; do
  [ -n "${!option}" ] || usage_error "--$option is missing"
  [ -r "${!option}" ] || usage_error "--$option: cannot read '${!option}'"
done
need() { command -v "$1" >/dev/null 2>&1 || { message "missing $1; Debian package: $2"; exit 1; }; }
need /usr/bin/time time
need timeout coreutils
case " $peers " in *" qemu "*) need "$QEMU" qemu-system-x86 ;; esac
case " $peers " in *" gnomon-"*) need "${GNOMON%% *}" openjdk-17-jre-headless ;; esac

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
samples=$work/samples.tsv
: >"$samples"

boot() {
  local command
  case $1 in
    qemu) command=("$QEMU" -accel tcg -m "$memory" -nodefaults -nographic -serial stdio -no-reboot -kernel "$kernel"
      -initrd "$initrd" -append "$append") ;;
    *)
      read -r -a command <<<"$GNOMON"
      command+=(run --kernel "$kernel" --initrd "$initrd" -m "$memory" --ns-per-instruction 8 --no-count
        --mode "${1#gnomon-}" --append "$append") ;;
  esac
  /usr/bin/time -f '%U %S %e %M' -o "$work/time" timeout -k 5 "$limit" "${command[@]}" </dev/null >"$work/console" 2>"$work/errors"
  if ! grep -a -q -F -e "$marker" "$work/console"; then
    message "$1: '$marker' is not on the console; its last lines:"
    tail -n 5 "$work/console" "$work/errors" | tr -d '\r' | cut -c 1-200 >&2
    exit 1
  fi
  # The line after a message about the exit status, if there is one.
  tail -n 1 "$work/time"
}

for ((round = 1; round <= rounds; round++)); do
  order=$peers
  # Every other round goes the other way, so that a slow drift of the machine favours no peer.
  if ((round % 2 == 0)); then
    order=$(printf '%s\n' $peers | tac | tr '\n' ' ')
  fi
  for peer in $order; do
    figures=$(boot "$peer") || exit 1
    read -r user system wall rss <<<"$figures"
    cpu=$(awk -v u="$user" -v s="$system" 'BEGIN { printf "%.2f", u + s }')
    printf '%s\t%s\t%s\t%s\t%s\n' "$round" "$peer" "$cpu" "$wall" "$rss" >>"$samples"
    message "round $round/$rounds $peer: $cpu s CPU, $wall s, $((rss / 1024)) MiB at most"
  done
done

awk -v rounds="$rounds" -v peers="$peers" -v json="${json:-/dev/null}" -f "$here/report.awk" "$samples"
