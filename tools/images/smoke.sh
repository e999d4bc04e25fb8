# The first program in the namespaces of tools/images/smoke.py. Exit code 125: no emulator can be registered.
# sh smoke.sh ROOT UID EMULATOR REGISTRATION COUNT FILE… COMMAND…
set -eu
root=$1 uid=$2 emulator=$3 registration=$4 count=$5
shift 5
if [ -n "$emulator" ]; then
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc && printf '%s' "$registration" > /proc/sys/fs/binfmt_misc/register || exit 125
fi
ip link set lo up
mount --rbind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$count" -gt 0 ]; do
    cp "$1" "$root/tmp/"
    shift
    count=$((count - 1))
done
path=/opt/afkit/bin:/opt/proxy/node_modules/.bin:/usr/local/bin:/usr/bin:/bin
exec env -i PATH="$PATH" chroot --userspec="$uid:$uid" --groups= "$root" \
    /usr/bin/env PATH="$path" HOME=/tmp LANG=C.UTF-8 SHELL=/bin/bash "$@"
