begin
i=0
while [ $i -lt @count@ ]; do
  ( : )
  i=$((i + 1))
done
end
