i=0; while [ $i -lt 3000 ]; do echo "line $i $((i * 7919 % 1009))"; i=$((i + 1)); done >data
$BB md5sum data; $BB sha256sum data; $BB sha1sum data
$BB gzip -c data >data.gz; $BB gunzip -c data.gz | $BB md5sum; $BB wc -c <data.gz
$BB bzip2 -c data >data.bz2; $BB bunzip2 -c data.bz2 | $BB cmp - data && echo same; $BB wc -c <data.bz2
$BB sort -k3n -k2n data | $BB head -5; $BB sort -r data | $BB uniq | $BB tail -3
$BB mkdir -p tree/a/b tree/c; $BB cp data tree/a/b; $BB ln -s ../a tree/c/link; $BB touch tree/c/x; $BB find tree | $BB sort
echo '2^200; scale=20; 4*a(1); e(1)' | $BB bc -l
echo '20k 2v p 100 3 / p' | $BB dc
$BB awk '{ s += $3 * 1.5; n++ } END { printf "%d %.6f %g %e\n", s, s / n, n / 7, s * s }' data
$BB sed -n 's/line \(1*\) /<\1>/p' data | $BB head -4
$BB sh -c 'kill -SEGV $$'; echo "status $?"
$BB tar cf - tree | $BB tar tf - | $BB sort; echo héllo | $BB od -c | $BB head -2
(echo a; echo b) | while read x; do echo "<$x>"; done
echo "end of script"
