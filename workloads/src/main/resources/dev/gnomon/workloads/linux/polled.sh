page=
for range in /sys/firmware/memmap/*; do
  read -r start <$range/start
  read -r type <$range/type
  if [ "$type" = Reserved ] && [ $((start)) -ge $((0x100000)) ]; then
    page=$start
    break
  fi
done
[ -n "$page" ] || echo 'no reserved range: expected --polled request'
begin
i=1
while [ -n "$page" ] && [ $i -le @count@ ]; do
  devmem $((page + 0x04)) 32 1
  devmem $((page + 0x08)) 64 $((i * 1000000007))
  devmem $((page + 0x10)) 64 $((i * 35))
  devmem $((page + 0x00)) 32 $i
  until [ $(($(devmem $((page + 0x20)) 32))) -eq $i ]; do :; done
  [ $(($(devmem $((page + 0x18)) 64))) -eq $((i * 1000000042)) ] || break
  [ $(($(devmem $((page + 0x24)) 32))) -eq 0 ] || break
  i=$((i + 1))
done
end
echo "$((i - 1)) requests answered at $page"
[ $i -gt @count@ ]
