mkfifo /tmp/there /tmp/back
exec 3<>/tmp/there 4<>/tmp/back
( while read -r line <&3; do echo "$line" >&4; done ) &
echo ready >&3
read -r line <&4
begin
i=0
while [ $i -lt @count@ ]; do
  echo $i >&3
  read -r line <&4
  i=$((i + 1))
done
end
[ $line -eq $((@count@ - 1)) ]
