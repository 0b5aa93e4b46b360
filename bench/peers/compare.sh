#!/usr/bin/env bash
# Compares Gnomon's speed with QEMU TCG and Bochs on one guest; see --help and README.md.
# A peer's time is the CPU time (user + system) of a long run minus that of a short run of the same workload,
# so that start-up, boot, set-up and JIT warm-up cancel out.
set -u -o pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bench=$(dirname "$here")
target=$bench/target/peers
elf=$target/peers.elf

JAVA=${JAVA:-java}
GNOMON_JAR=${GNOMON_JAR:-$bench/target/gnomon.jar}
# Fewer instructions of the host for each reference that is loaded or stored; the guest's memory is not on the heap.
JAVA_OPTS=${JAVA_OPTS--XX:+UseSerialGC -XX:-UseCompressedOops}
GNOMON=${GNOMON:-$JAVA $JAVA_OPTS -jar $GNOMON_JAR}
default_run='run --kernel {kernel} --append {append} -m 128M --mode {mode} {count}'
GNOMON_RUN=${GNOMON_RUN:-$default_run}
GNOMON_COUNT_OFF=${GNOMON_COUNT_OFF---no-count}
GNOMON_COUNT_ON=${GNOMON_COUNT_ON---count}
QEMU=${QEMU:-qemu-system-i386}
QEMU_OPTS=${QEMU_OPTS:-}
BOCHS=${BOCHS:-bochs}
BXSHARE=${BXSHARE:-/usr/share/bochs}
GRUB_MODULES=${GRUB_MODULES:-/usr/lib/grub/i386-pc}

all_peers="gnomon-native gnomon-ept gnomon-shadow gnomon-count qemu bochs host"
all_workloads="alu chase churn"
peers=
workloads=$all_workloads
rounds=5
scale=1
limit=900
outputs=()
declare -A size_override=()

usage() {
  cat <<EOF
usage: compare.sh [OPTION]...

Builds the guest, runs it on every peer in interleaved rounds, checks each run's checksum,
and prints medians and the demanded ratios as Markdown (stdout); messages go to stderr.

  --rounds N            rounds, each with one short and one long run per peer and workload (default $rounds)
  --peers LIST          comma-separated, of: ${all_peers// /,}
                        (default: all that are installed)
  --workloads LIST      comma-separated, of: ${all_workloads// /,} (default: all)
  --scale X             multiplies every size; 0.2 for a quick look, 3 for quiet figures (default $scale)
  --size PEER/WORKLOAD=SHORT:LONG
                        iterations of the two runs of one peer on one workload; may be repeated
  --timeout SECONDS     wall-clock limit of one run (default $limit)
  --out json:FILE       where the JSON goes (default bench/target/peers/compare.json); also md:FILE; may be repeated
  --build               only builds the guest and prints its path
  --help                this text

peers: gnomon-native, gnomon-ept and gnomon-shadow run with counting off, gnomon-count is native with counting on; host is the
  machine's own processor, which runs the chase only: what no emulator can be faster than.

examples:
  bench/peers/compare.sh
  bench/peers/compare.sh --peers gnomon-native,qemu
  bench/peers/compare.sh --peers gnomon-native,gnomon-count --workloads alu --rounds 3
  bench/peers/compare.sh --size qemu/alu=100000000:3000000000 --out json:peers.json --out md:peers.md
  JAVA=/opt/jdk-25/bin/java JAVA_OPTS= bench/peers/compare.sh --peers gnomon-native
  GNOMON_RUN='run --kernel {kernel} --append {append} --mode {mode} {count}' bench/peers/compare.sh

environment: JAVA, JAVA_OPTS (now "$JAVA_OPTS"), GNOMON_JAR, GNOMON (the whole command), GNOMON_RUN (its arguments, with the placeholders
  {kernel} {append} {mode} {count}), GNOMON_COUNT_OFF (now "$GNOMON_COUNT_OFF"), GNOMON_COUNT_ON (now "$GNOMON_COUNT_ON"),
  QEMU, QEMU_OPTS, BOCHS, BXSHARE, GRUB_MODULES

exit codes: 0 done, 1 something is missing or a run failed, 2 usage, 5 a demanded ratio or a checksum was missed
EOF
}

message() {
  printf 'compare.sh: %s\n' "$*" >&2
}

usage_error() {
  message "$* (--help lists the options)"
  exit 2
}

# Every word of list $2 must be among $3; $1 names the option.
check_list() {
  local word
  [ -n "${2// /}" ] || usage_error "$1: expected at least one of: $3"
  for word in $2; do
    case " $3 " in
      *" $word "*) ;;
      *) usage_error "$1: '$word': expected one of: $3" ;;
    esac
  done
}

build_only=0
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --build) build_only=1; shift; continue ;;
    --rounds | --peers | --workloads | --scale | --size | --timeout | --out)
      [ $# -ge 2 ] || usage_error "$1: expected a value" ;;
    *) usage_error "unknown option '$1'" ;;
  esac
  case $1 in
    --rounds) [[ $2 =~ ^[1-9][0-9]{0,3}$ ]] || usage_error "--rounds: '$2': expected a number from 1 to 9999"; rounds=$2 ;;
    --timeout) [[ $2 =~ ^[1-9][0-9]{0,5}$ ]] || usage_error "--timeout: '$2': expected seconds, from 1"; limit=$2 ;;
    --scale)
      [[ $2 =~ ^[0-9]*\.?[0-9]+$ && $2 =~ [1-9] ]] || usage_error "--scale: '$2': expected a number above 0"
      scale=$2 ;;
    --peers) peers=${2//,/ }; check_list --peers "$peers" "$all_peers" ;;
    --workloads) workloads=${2//,/ }; check_list --workloads "$workloads" "$all_workloads" ;;
    --size)
      [[ $2 =~ ^([a-z-]+)/([a-z]+)=([1-9][0-9]{0,9}):([1-9][0-9]{0,9})$ ]] \
        || usage_error "--size: '$2': expected PEER/WORKLOAD=SHORT:LONG"
      check_list --size "${BASH_REMATCH[1]}" "$all_peers"
      check_list --size "${BASH_REMATCH[2]}" "$all_workloads"
      if [ "${BASH_REMATCH[3]}" -ge "${BASH_REMATCH[4]}" ] || [ "${BASH_REMATCH[4]}" -gt 4294967295 ]; then
        usage_error "--size: '$2': expected SHORT < LONG, at most 4294967295"
      fi
      size_override[${BASH_REMATCH[1]}/${BASH_REMATCH[2]}]="${BASH_REMATCH[3]} ${BASH_REMATCH[4]}" ;;
    --out)
      [[ $2 =~ ^(json|md):.+$ ]] || usage_error "--out: '$2': expected json:FILE or md:FILE"
      outputs+=("$2") ;;
  esac
  shift 2
done

# What is missing for a peer (or for "build"): lines "what<TAB>Debian package".
missing_for() {
  local first
  need_command() { command -v "$1" >/dev/null 2>&1 || printf '%s\t%s\n' "$1" "$2"; }
  need_file() { [ -e "$1" ] || printf '%s\t%s\n' "$1" "$2"; }
  case $1 in
    build)
      need_command gcc gcc
      need_command make make
      need_command objdump binutils
      need_command awk mawk
      need_command timeout coreutils
      need_file /usr/include/stdio.h libc6-dev ;;
    gnomon-*)
      first=${GNOMON%% *}
      need_command "$first" openjdk-17-jre-headless
      case $GNOMON in
        *"$GNOMON_JAR"*) need_file "$GNOMON_JAR" "-" ;;
      esac ;;
    qemu) need_command "$QEMU" qemu-system-x86 ;;
    bochs)
      need_command "$BOCHS" bochs
      need_file "$BXSHARE/BIOS-bochs-latest" bochsbios
      need_file "$BXSHARE/VGABIOS-lgpl-latest" vgabios
      need_command grub-mkrescue grub-common
      need_file "$GRUB_MODULES/multiboot.mod" grub-pc-bin
      need_command xorriso xorriso
      need_command mformat mtools ;;
  esac
}

# Says what is missing for $1 and returns 1 if anything is.
check_available() {
  local missing packages
  missing=$(missing_for "$1")
  [ -z "$missing" ] && return 0
  packages=$(cut -f2 <<<"$missing" | grep -v '^-$' | sort -u | tr '\n' ' ')
  message "$1: missing $(cut -f1 <<<"$missing" | paste -s -d ' ')${packages:+; Debian packages: ${packages% }}"
  case $missing in
    *$'\t-'*) message "mvn package builds $GNOMON_JAR" ;;
  esac
  return 1
}

check_available build || exit 1
make -s -C "$here" >&2 || { message "the guest could not be built"; exit 1; }
if [ $build_only = 1 ]; then
  echo "$elf"
  exit 0
fi

requested=1
if [ -z "$peers" ]; then
  requested=0
  peers=$all_peers
fi
available=
for peer in $peers; do
  if check_available "$peer"; then
    available="$available $peer"
  elif [ $requested = 1 ]; then
    exit 1
  else
    message "$peer is left out"
  fi
done
peers=${available# }
[ -n "$peers" ] || { message "no peer is installed"; exit 1; }

work=$(mktemp -d "$target/run.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
samples=$work/samples.tsv
: >"$samples"

# Iterations "SHORT LONG" of a peer on a workload; the short run outlasts a JVM's warm-up, the difference is some seconds.
sizes() {
  local size=${size_override[$1/$2]-}
  if [ -n "$size" ]; then
    echo "$size"
    return
  fi
  case $1/$2 in
    gnomon-*/alu) size="40000000 200000000" ;;
    gnomon-*/chase) size="5000000 25000000" ;;
    gnomon-shadow/churn) size="3000000 18000000" ;;
    gnomon-*/churn) size="5000000 50000000" ;;
    qemu/alu) size="100000000 1100000000" ;;
    qemu/chase) size="2000000 14000000" ;;
    qemu/churn) size="1000000 9000000" ;;
    host/chase) size="2000000 14000000" ;;
    bochs/alu) size="10000000 70000000" ;;
    bochs/chase) size="2000000 10000000" ;;
    bochs/churn) size="2000000 18000000" ;;
  esac
  awk -v size="$size" -v scale="$scale" 'BEGIN {
    split(size, n, " ")
    for (i = 1; i <= 2; i++) { n[i] = int(n[i] * scale); if (n[i] > 4294967295) n[i] = 4294967295 }
    if (n[1] < 1) n[1] = 1
    if (n[2] <= n[1]) n[2] = n[1] + 1
    printf "%.0f %.0f\n", n[1], n[2]
  }'
}

# The line "done NAME N CHECKSUM" that a run must print, as the host computes it.
expected_line() {
  local file=$target/expected.$1.$2
  if [ ! -s "$file" ] || [ "$target/expect" -nt "$file" ]; then
    "$target/expect" "$1" "$2" >"$file" || exit 1
  fi
  cat "$file"
}

bochs_iso() {
  local iso=$target/iso/$1-$2.iso tree=$work/tree
  if [ ! -s "$iso" ] || [ "$elf" -nt "$iso" ]; then
    rm -rf "$tree"
    mkdir -p "$tree/boot/grub" "$target/iso"
    cp "$elf" "$tree/boot/peers.elf"
    printf 'multiboot /boot/peers.elf %s %s\nboot\n' "$1" "$2" >"$tree/boot/grub/grub.cfg"
    if ! grub-mkrescue -d "$GRUB_MODULES" --install-modules="multiboot normal iso9660 biosdisk" --fonts= --themes= \
      --locales= -o "$work/iso" "$tree" >"$work/grub.log" 2>&1; then
      tail -n 5 "$work/grub.log" >&2
      message "grub-mkrescue failed"
      exit 1
    fi
    mv "$work/iso" "$iso"
  fi
  echo "$iso"
}

bochs_has_debugger() {
  local text
  text=$("$BOCHS" --help 2>&1 </dev/null)
  [[ $text == *' -rc'* ]]
}

# Sets command=() to peer $1's command line for workload $2 with $3 iterations, and console to where its COM1 goes.
prepare() {
  local word mode count
  console=$work/output
  command=()
  case $1 in
    gnomon-*)
      mode=${1#gnomon-}
      count=$GNOMON_COUNT_OFF
      if [ "$mode" = count ]; then
        mode=native
        count=$GNOMON_COUNT_ON
      fi
      read -r -a command <<<"$GNOMON"
      for word in $GNOMON_RUN; do
        case $word in
          {count}) [ -z "$count" ] || command+=($count) ;;
          *)
            word=${word//\{kernel\}/$elf}
            word=${word//\{append\}/$2 $3}
            command+=("${word//\{mode\}/$mode}") ;;
        esac
      done ;;
    qemu)
      command=("$QEMU" -accel tcg -m 128 -nodefaults -nographic -serial stdio -no-reboot
        -device isa-debug-exit,iobase=0xf4,iosize=0x4 $QEMU_OPTS -kernel "$elf" -append "$2 $3") ;;
    host) command=("$target/host" "$2" "$3") ;;
    bochs)
      console=$work/serial
      cat >"$work/bochsrc" <<EOF
megs: 128
romimage: file=$BXSHARE/BIOS-bochs-latest
vgaromimage: file=$BXSHARE/VGABIOS-lgpl-latest
display_library: rfb, options="timeout=0"
plugin_ctrl: speaker=0, gameport=0, parallel=0
ata0-master: type=cdrom, path=$(bochs_iso "$2" "$3"), status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$console
clock: sync=none
panic: action=fatal
log: $work/bochs.log
EOF
      command=("$BOCHS" -q -f "$work/bochsrc")
      if [ "$bochs_debugger" = 1 ]; then
        echo c >"$work/bochs.commands"
        command+=(-rc "$work/bochs.commands")
      fi ;;
  esac
}

# Runs peer $1 on workload $2 with $3 iterations; sets cpu and wall to seconds, returns 1 if its checksum is not the expected one.
run_once() {
  local expected times status
  expected=$(expected_line "$2" "$3")
  rm -f "$work/output" "$work/serial"
  prepare "$1" "$2" "$3"
  local TIMEFORMAT='%3R %3U %3S'
  { time timeout -k 5 "$limit" "${command[@]}" </dev/null >"$work/output" 2>&1; } 2>"$work/times"
  status=$?
  times=$(tail -n 1 "$work/times")
  wall=${times%% *}
  cpu=$(awk -v t="$times" 'BEGIN { split(t, s, " "); printf "%.3f", s[2] + s[3] }')
  touch "$console"
  if ! tr -d '\r' <"$console" | grep -a -q -F -x -e "$expected"; then
    message "$1 $2 $3: expected the line '$expected'; exit status $status; the last lines of its output:"
    tail -n 5 "$console" 2>/dev/null | tr -d '\r' | cut -c 1-200 >&2
    [ "$console" = "$work/output" ] || tail -n 5 "$work/output" | cut -c 1-200 >&2
    return 1
  fi
}

declare -A failed=()
bochs_debugger=0
case " $peers " in
  *" bochs "*) if bochs_has_debugger; then bochs_debugger=1; fi ;;
esac

for ((round = 1; round <= rounds; round++)); do
  order=$peers
  # Every other round goes the other way, so that a slow drift of the machine favours no peer.
  if ((round % 2 == 0)); then
    order=$(printf '%s\n' $peers | tac | tr '\n' ' ')
  fi
  for workload in $workloads; do
    for peer in $order; do
      [ -z "${failed[$peer/$workload]-}" ] || continue
      [ "$peer/$workload" = host/chase ] || [ "$peer" != host ] || continue
      read -r short long <<<"$(sizes "$peer" "$workload")"
      if run_once "$peer" "$workload" "$short"; then
        short_cpu=$cpu short_wall=$wall
        if run_once "$peer" "$workload" "$long"; then
          printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$round" "$workload" "$peer" "$short" "$long" \
            "$short_cpu" "$cpu" "$short_wall" "$wall" >>"$samples"
          message "round $round/$rounds $workload $peer: $short in $short_cpu s, $long in $cpu s CPU"
          continue
        fi
      fi
      failed[$peer/$workload]=1
    done
  done
done

first_line() {
  "$@" 2>&1 </dev/null | grep -m 1 . || echo unknown
}

export host_cpu host_cpus host_os version_gcc version_java version_qemu version_bochs
host_cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -n 1)
host_cpus=$(nproc 2>/dev/null)
host_os=$(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release 2>/dev/null)
version_gcc=$(first_line gcc --version)
case " $peers" in *" gnomon-"*) version_java=$(first_line "$JAVA" -version) ;; *) version_java= ;; esac
case " $peers " in *" qemu "*) version_qemu=$(first_line "$QEMU" --version) ;; *) version_qemu= ;; esac
version_bochs=
case " $peers " in
  *" bochs "*)
    version_bochs=$("$BOCHS" --help 2>&1 </dev/null | grep -a -m 1 -o 'Bochs x86 Emulator [0-9][^ ]*')
    [ $bochs_debugger = 0 ] || version_bochs="$version_bochs, debugger compiled in" ;;
esac

awk -v rounds="$rounds" -v peers="$peers" -v workloads="$workloads" -v failed="${!failed[*]}" -v json="$work/json" \
  -f "$here/report.awk" "$samples" >"$work/md"
status=$?
cat "$work/md"

has_json=0
for output in ${outputs[@]+"${outputs[@]}"}; do
  case $output in
    json:*) has_json=1; cp "$work/json" "${output#json:}" || exit 1 ;;
    md:*) cp "$work/md" "${output#md:}" || exit 1 ;;
  esac
done
if [ $has_json = 0 ]; then
  cp "$work/json" "$target/compare.json"
  message "JSON: $target/compare.json"
fi
exit $status
