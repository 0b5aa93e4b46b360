mkdir /tmp/tree
d=0
while [ $d -lt 20 ]; do
  mkdir -p /tmp/tree/$d/a /tmp/tree/$d/b
  f=0
  while [ $f -lt 20 ]; do
    : > /tmp/tree/$d/a/file$f
    : > /tmp/tree/$d/b/file$f
    f=$((f + 1))
  done
  d=$((d + 1))
done
begin
i=0
while [ $i -lt @count@ ]; do
  found=$(find /tmp/tree -type f -name '*7' | wc -l)
  i=$((i + 1))
done
end
[ $found -eq 80 ]
