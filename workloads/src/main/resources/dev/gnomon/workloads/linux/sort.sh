awk 'BEGIN { s = 1; for (i = 0; i < @count@; i++) { s = s * 16807 % 2147483647; print s } }' > /tmp/numbers
begin
sort -n /tmp/numbers > /tmp/sorted
end
sort -n -c /tmp/sorted && [ $(wc -l < /tmp/sorted) -eq @count@ ]
