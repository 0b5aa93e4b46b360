begin
i=0
while [ $i -lt @count@ ]; do
  dd if=/dev/zero of=/dev/null bs=4M count=1 2>/dev/null
  i=$((i + 1))
done
end
