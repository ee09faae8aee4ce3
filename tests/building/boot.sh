#!/bin/sh
# Become systemd, PID 1 of the namespaces this was started in, over a copy-on-write root: boot.sh FOLDER TARGET
#
# FOLDER/files is laid over the root; FOLDER/notify is the socket that is told when the start is over. Nothing that
# happens inside reaches the file system outside, and all of it ends with PID 1.
set -e
top=$1 root=$1/mount/root
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$top/mount"
mkdir "$top/mount/upper" "$top/mount/work" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$top/mount/upper,workdir=$top/mount/work" overlay "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/shm" "$root/dev/pts" "$root/dev/mqueue"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
while read -r name major minor; do mknod -m 666 "$root/dev/$name" c "$major" "$minor"; done <<END
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
END
ip link set lo up
cp -r "$top/files/." "$root/"
touch "$root/run/notify"
mount --bind "$top/notify" "$root/run/notify"
exec chroot "$root" /usr/bin/env -i container=tests PATH=/usr/sbin:/usr/bin:/sbin:/bin NOTIFY_SOCKET=/run/notify \
    /lib/systemd/systemd --system --unit="$2" --log-target=journal --show-status=no
