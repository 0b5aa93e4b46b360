awk 'BEGIN { s = 1; for (i = 0; i < @count@; i++) { s = s * 16807 % 2147483647; print "line", i, s % 1000 } }' > /tmp/text
begin
gzip -c /tmp/text > /tmp/text.gz
gzip -dc /tmp/text.gz > /tmp/again
end
cmp /tmp/text /tmp/again
