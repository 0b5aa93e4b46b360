begin
passed=$(dd if=/dev/zero bs=4k count=@count@ 2>/dev/null | cat | wc -c)
end
[ $passed -eq $((@count@ * 4096)) ]
