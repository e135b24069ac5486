#!/bin/sh
# Fedora, RHEL and their kin: /etc/kdump/post.d/vmleak.sh, mode 755. kdump runs it in the capture
# kernel once the dump is written; its argument is how that went. After a change: kdumpctl rebuild.
#
# In /etc/kdump.conf (`extra_bins` takes what the hook calls into the capture kernel's image):
#
#     extra_bins /usr/bin/vmleak /usr/bin/vmleak-kdump /usr/bin/timeout
#
# or, in place of the folder post.d, as the only hook: kdump_post /usr/bin/vmleak-kdump-post
[ "${1:-0}" -eq 0 ] || exit 0
# The newest dump below the path of kdump.conf, which the capture kernel mounts at /kdumproot or /sysroot.
for root in /kdumproot /sysroot ''; do
    newest=$(ls -1t "$root"/var/crash/*/vmcore 2>/dev/null | head -n 1)
    [ -n "$newest" ] && exec vmleak-kdump "$newest"
done
exit 0
