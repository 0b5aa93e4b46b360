#!/bin/busybox sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM="${TERM:-linux}"
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
cd /root
@RUN@ /script
status=$?
if [ $status -ne 0 ]; then
  echo "init: the script ended with status $status"
  devmem @EXIT@ 8 $status
fi
poweroff -f
