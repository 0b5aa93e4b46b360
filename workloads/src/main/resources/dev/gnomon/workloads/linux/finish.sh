status=$?
echo "workload @name@ ended with status $status"
devmem @EXIT@ 8 $status
