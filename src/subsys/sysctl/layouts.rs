//! The structures of the sysctl trees and the members of them that are read.

use crate::kernel::layout::layout;

layout! {
    /// include/linux/sysctl.h
    pub(super) struct TableLayout = "ctl_table" in "fs/proc/proc_sysctl.c" {
        need procname = "procname",
        need data = "data",
        need maxlen = "maxlen",
        need mode = "mode",
        need handler = "proc_handler",
        need extra1 = "extra1",
        need extra2 = "extra2",
    }
}

layout! {
    /// include/linux/sysctl.h
    pub(super) struct HeaderLayout = "ctl_table_header" in "fs/proc/proc_sysctl.c" {
        need table = "ctl_table",
        need node = "node",
        need unregistering = "unregistering",
    }
}

layout! {
    /// include/linux/sysctl.h
    pub(super) struct CtlNodeLayout = "ctl_node" in "fs/proc/proc_sysctl.c" {
        need node = "node",
        need header = "header",
    }
}

layout! {
    /// include/linux/sysctl.h. The header of a directory is its first member.
    pub(super) struct DirLayout = "ctl_dir" in "fs/proc/proc_sysctl.c" {
        need root = "root",
    }
}

layout! {
    /// include/linux/sysctl.h
    pub(super) struct RootLayout = "ctl_table_root" in "fs/proc/proc_sysctl.c" {
        need dir = "default_set.dir",
    }
}

layout! {
    /// include/net/net_namespace.h
    pub(super) struct NetLayout = "net" in "net/core/net_namespace.c" {
        need dir = "sysctls.dir",
        maybe loggers = "nf.nf_loggers",
        /// Two ints up to 6.7; since then one word (commit d9f28735af87).
        maybe port_range = "ipv4.ip_local_ports.range",
        maybe congestion = "ipv4.tcp_congestion_control",
        maybe hashinfo = "ipv4.tcp_death_row.hashinfo",
        maybe udp_table = "ipv4.udp_table",
        maybe fastopen = "ipv4.tcp_fastopen_ctx",
        maybe hash_seed = "ipv4.sysctl_fib_multipath_hash_seed.user_seed",
        maybe rps_mask = "core.rps_default_mask",
    }
}

layout! {
    /// include/linux/user_namespace.h
    pub(super) struct UserLayout = "user_namespace" in "kernel/ucount.c" {
        maybe dir = "set.dir",
    }
}

layout! {
    /// include/linux/ipc_namespace.h: sets of their own since 5.19 (commits 1f5c135ee509,
    /// dc55e35f9e81).
    pub(super) struct IpcLayout = "ipc_namespace" in "ipc/msgutil.c" {
        maybe ipc = "ipc_set.dir",
        maybe mq = "mq_set.dir",
    }
}

layout! {
    /// include/linux/pid_namespace.h: a set of its own since 6.14.
    pub(super) struct PidNamespaceLayout = "pid_namespace" in "kernel/pid.c" {
        maybe dir = "set.dir",
        maybe next = "idr.idr_next",
    }
}
