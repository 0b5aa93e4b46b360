begin
i=0
while [ $i -lt @count@ ]; do
  /bin/true
  i=$((i + 1))
done
end
