#!/usr/bin/env bash
# A virtual arm64 phone for a command: run inside `unshare -U -r -m -n`, so that its network and its way of starting arm64
# programs are its own. ADBD: the daemon; ADBD_LIBRARIES: folders of its libraries; SHIMS: folder with getprop and dumpsys;
# STORAGE: its /data/local/tmp. The command finds the phone by ANDROID_SERIAL.
set -eu
ip link set lo up
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
# The beginning of an arm64 ELF file and which of its bits count; F: the emulator is opened now, not found by each process.
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
printf ':aarch64:M::%s:%s:%s:F' "$magic" "$mask" "$(command -v qemu-aarch64)" > /proc/sys/fs/binfmt_misc/register
# The daemon sees the machine's own files, and beside them the folder that phones have for everybody.
root=$STORAGE/../root
mkdir -p "$root"
mount -t tmpfs none "$root"
for entry in /*; do
    if [ -d "$entry" ] && [ ! -L "$entry" ]; then
        mkdir "$root$entry"
        mount --rbind "$entry" "$root$entry"
    else
        cp -P "$entry" "$root"
    fi
done
mkdir -p "$root/data/local/tmp"
mount --bind "$STORAGE" "$root/data/local/tmp"
(
    cd "$STORAGE"
    QEMU_CPU=cortex-a76 PATH=$SHIMS:$PATH LD_LIBRARY_PATH=$ADBD_LIBRARIES ADBD_PORT=5655 exec chroot "$root" "$ADBD"
) > "$STORAGE/../adbd.log" 2>&1 &
daemon=$!
export ANDROID_ADB_SERVER_PORT=5099 ANDROID_SERIAL=127.0.0.1:5655
end() {
    adb kill-server > /dev/null 2>&1 || true
    kill "$daemon" 2> /dev/null || true
}
trap end EXIT
for _ in $(seq 40); do
    [ "$(adb connect "$ANDROID_SERIAL" 2> /dev/null | grep -c '^connected\|^already')" = 1 ] && break
    sleep 0.25
done
"$@"
