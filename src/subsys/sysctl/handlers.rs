//! Which function prints how: each handler's name with the way to decode its value.
//!
//! Names are resolved to addresses once per run. Two static functions of one name
//! (`proc_dointvec_minmax_sysadmin` had two) print alike.

use rustc_hash::FxHashMap;

use super::decode::{Answer, ValueReader};
use super::special::{core, fs, net, tcp};
use super::tree::Leaf;
use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::modules::Modules;

/// How a value is decoded.
#[derive(Clone, Copy)]
pub(super) enum Decoder {
    /// `int`s.
    Int,
    /// `unsigned int`s.
    UInt,
    /// An `int` or, where there is room for one byte only, a `u8`.
    IntOrU8,
    /// A `u8`.
    U8,
    /// A `bool`.
    Bool,
    /// `unsigned long`s.
    Long,
    /// `unsigned long`s of jiffies, printed as milliseconds.
    LongMs,
    /// `int`s of jiffies, printed as seconds.
    Jiffies,
    /// `int`s of jiffies, printed in hundredths of a second.
    UserHz,
    /// `int`s of jiffies, printed as milliseconds.
    Ms,
    /// A string.
    Text,
    /// A pointer to a bitmap.
    Bitmap,
    /// A `struct static_key`.
    StaticKey,
    /// In a way of its own.
    Special(fn(&ValueReader<'_>, &Leaf) -> Answer),
}

use Decoder::{
    Bitmap, Bool, Int, IntOrU8, Jiffies, Long, LongMs, Ms, Special, StaticKey, Text, U8, UInt,
    UserHz,
};

/// Kernels 4.18 to 7.2. Where nothing else is said, the handler prints what
/// the generic one of kernel/sysctl.c that it calls does.
const HANDLERS: &[(&str, Decoder)] = &[
    ("addrconf_sysctl_addr_gen_mode", Int),
    ("addrconf_sysctl_disable", Int),
    ("addrconf_sysctl_disable_policy", Int),
    ("addrconf_sysctl_force_forwarding", Int),
    ("addrconf_sysctl_forward", Int),
    ("addrconf_sysctl_hop_limit", Int),
    ("addrconf_sysctl_ignore_routes_with_linkdown", Int),
    ("addrconf_sysctl_mtu", Int),
    ("addrconf_sysctl_proxy_ndp", Int),
    ("addrconf_sysctl_stable_secret", Special(net::stable_secret)),
    ("apparmor_dointvec", Int),
    ("armv8pmu_proc_user_access_handler", Int),
    ("bpf_stats_handler", StaticKey),
    ("bpf_unpriv_handler", Int),
    ("brnf_sysctl_call_tables", Int),
    ("cdrom_sysctl_handler", Int),
    ("compaction_proactiveness_sysctl_handler", Int),
    ("devinet_conf_proc", Int),
    ("devinet_sysctl_forward", Int),
    ("devkmsg_sysctl_set_loglvl", Text),
    ("dirty_background_bytes_handler", Long),
    ("dirty_background_ratio_handler", Int),
    ("dirty_bytes_handler", Long),
    ("dirty_ratio_handler", Int),
    ("dirty_writeback_centisecs_handler", Int),
    ("dirtytime_interval_handler", Int),
    ("do_proc_dqstats", Special(fs::quota)),
    ("drop_caches_sysctl_handler", Int),
    ("emulation_proc_handler", Int),
    ("flow_limit_cpu_sysctl", Special(net::flow_limit_cpus)),
    ("flow_limit_table_len_sysctl", Int),
    ("ftrace_enable_sysctl", Int),
    (
        "hugetlb_mempolicy_sysctl_handler",
        Special(core::huge_pages),
    ),
    (
        "hugetlb_overcommit_handler",
        Special(core::overcommit_huge_pages),
    ),
    ("hugetlb_sysctl_handler", Special(core::huge_pages)),
    ("ipv4_doint_and_flush", Int),
    ("ipv4_fwd_update_priority", IntOrU8),
    ("ipv4_local_port_range", Special(net::port_range)),
    ("ipv4_ping_group_range", UInt),
    ("ipv4_privileged_ports", Int),
    ("ipv4_sysctl_rtcache_flush", Int),
    ("ipv6_sysctl_rtcache_flush", Int),
    ("kexec_limit_handler", Special(core::kexec_limit)),
    ("laptop_mode_handler", Jiffies),
    ("lowmem_reserve_ratio_sysctl_handler", Int),
    ("mac_hid_toggle_emumouse", Int),
    ("min_free_kbytes_sysctl_handler", Int),
    ("mmap_min_addr_handler", Long),
    ("ndisc_ifinfo_sysctl_change", Special(net::neighbour_time)),
    (
        "neigh_proc_base_reachable_time",
        Special(net::neighbour_time),
    ),
    ("neigh_proc_dointvec", Int),
    ("neigh_proc_dointvec_jiffies", Jiffies),
    ("neigh_proc_dointvec_ms_jiffies", Ms),
    ("neigh_proc_dointvec_ms_jiffies_positive", Ms),
    (
        "neigh_proc_dointvec_unres_qlen",
        Special(net::unresolved_queue),
    ),
    ("neigh_proc_dointvec_userhz_jiffies", UserHz),
    ("neigh_proc_dointvec_zero_intmax", Int),
    ("nf_conntrack_hash_sysctl", UInt),
    ("nf_conntrack_log_invalid_sysctl", U8),
    (
        "nf_hooks_lwtunnel_sysctl_handler",
        Special(net::lwtunnel_hooks),
    ),
    ("nf_log_proc_dostring", Special(net::logger)),
    ("numa_zonelist_order_handler", Text),
    ("overcommit_kbytes_handler", Long),
    ("overcommit_policy_handler", Int),
    ("overcommit_ratio_handler", Int),
    ("percpu_pagelist_fraction_sysctl_handler", Int),
    ("percpu_pagelist_high_fraction_sysctl_handler", Int),
    ("perf_cpu_time_max_percent_handler", Int),
    ("perf_event_max_sample_rate_handler", Int),
    ("perf_event_max_stack_handler", Int),
    ("perf_proc_update_handler", Int),
    ("pid_mfd_noexec_dointvec_minmax", Int),
    ("pid_ns_ctl_handler", Special(core::last_pid)),
    ("pipe_proc_fn", Int),
    ("proc_allowed_congestion_control", Special(tcp::allowed)),
    ("proc_available_path_managers", Special(tcp::path_managers)),
    ("proc_available_schedulers", Special(tcp::schedulers)),
    ("proc_blackhole_detect_timeout", UInt),
    ("proc_cap_handler", Special(core::capabilities)),
    ("proc_do_cad_pid", Special(core::cad_pid)),
    ("proc_do_defense_mode", Int),
    ("proc_do_dev_weight", Int),
    ("proc_do_entropy", Special(core::entropy)),
    ("proc_do_large_bitmap", Bitmap),
    ("proc_do_rointvec", Int),
    ("proc_do_rss_key", Special(net::rss_key)),
    ("proc_do_skb_defer_max", Int),
    ("proc_do_static_key", StaticKey),
    ("proc_do_sync_mode", Int),
    ("proc_do_sync_ports", Int),
    ("proc_do_sync_threshold", Int),
    ("proc_do_uts_string", Text),
    ("proc_do_uuid", Special(core::uuid)),
    ("proc_dobool", Bool),
    ("proc_dohung_task_detect_count", Special(core::hung_tasks)),
    ("proc_dohung_task_timeout_secs", Long),
    ("proc_dointvec", Int),
    ("proc_dointvec_jiffies", Jiffies),
    ("proc_dointvec_minmax", Int),
    ("proc_dointvec_minmax_bpf_enable", Int),
    ("proc_dointvec_minmax_bpf_restricted", Int),
    ("proc_dointvec_minmax_coredump", Int),
    ("proc_dointvec_minmax_sysadmin", Int),
    ("proc_dointvec_minmax_warn_RT_change", Int),
    ("proc_dointvec_ms_jiffies", Ms),
    ("proc_dointvec_ms_jiffies_minmax", Ms),
    ("proc_dointvec_userhz_jiffies", UserHz),
    ("proc_dolongvec_minmax_bpf_restricted", Long),
    ("proc_dopipe_max_size", UInt),
    ("proc_dostring", Text),
    ("proc_dostring_coredump", Text),
    ("proc_dou8vec_minmax", U8),
    ("proc_douintvec", UInt),
    ("proc_douintvec_minmax", UInt),
    ("proc_doulongvec_minmax", Long),
    ("proc_doulongvec_ms_jiffies_minmax", LongMs),
    ("proc_fib_multipath_hash_fields", UInt),
    ("proc_fib_multipath_hash_policy", IntOrU8),
    ("proc_fib_multipath_hash_seed", Special(net::hash_seed)),
    ("proc_ipc_auto_msgmni", Special(core::zero)),
    ("proc_ipc_dointvec", Int),
    ("proc_ipc_dointvec_minmax", Int),
    ("proc_ipc_dointvec_minmax_orphans", Int),
    ("proc_ipc_doulongvec_minmax", Long),
    ("proc_ipc_sem_dointvec", Int),
    (
        "proc_kprobes_optimization_handler",
        Special(core::kprobes_optimization),
    ),
    ("proc_mq_dointvec", Int),
    ("proc_mq_dointvec_minmax", Int),
    ("proc_nmi_watchdog", Special(core::hard_watchdog)),
    ("proc_nr_dentry", Special(fs::dentries)),
    ("proc_nr_files", Special(fs::files)),
    ("proc_nr_inodes", Special(fs::inodes)),
    ("proc_path_manager", Text),
    ("proc_pm_type", U8),
    ("proc_rt6_multipath_hash_fields", UInt),
    ("proc_rt6_multipath_hash_policy", IntOrU8),
    ("proc_scheduler", Text),
    ("proc_sctp_do_alpha_beta", Int),
    ("proc_sctp_do_auth", Int),
    ("proc_sctp_do_hmac_alg", Special(net::cookie_mac)),
    ("proc_sctp_do_probe_interval", Int),
    ("proc_sctp_do_rto_max", Int),
    ("proc_sctp_do_rto_min", Int),
    ("proc_sctp_do_udp_port", Int),
    ("proc_soft_watchdog", Special(core::soft_watchdog)),
    ("proc_taint", Special(core::taint)),
    (
        "proc_tcp_available_congestion_control",
        Special(tcp::available),
    ),
    ("proc_tcp_available_ulp", Special(tcp::upper_layers)),
    (
        "proc_tcp_congestion_control",
        Special(tcp::congestion_control),
    ),
    ("proc_tcp_early_demux", Int),
    ("proc_tcp_ehash_entries", Special(tcp::established_buckets)),
    ("proc_tcp_fastopen_key", Special(tcp::fastopen_key)),
    ("proc_tfo_blackhole_detect_timeout", Int),
    ("proc_udp_early_demux", Int),
    ("proc_udp_hash_entries", Special(tcp::udp_buckets)),
    ("proc_watchdog", Special(core::any_watchdog)),
    ("proc_watchdog_cpumask", Bitmap),
    ("proc_watchdog_thresh", Special(core::watchdog_threshold)),
    ("rds_tcp_skbuf_handler", Int),
    ("rps_default_mask_sysctl", Special(net::rps_default_mask)),
    ("rps_sock_flow_sysctl", Special(net::flow_entries)),
    ("sched_energy_aware_handler", Special(core::energy_aware)),
    ("sched_proc_update_handler", Int),
    ("sched_rr_handler", Int),
    ("sched_rt_handler", Int),
    ("sd_ctl_doflags", Special(core::domain_flags)),
    (
        "seccomp_actions_logged_handler",
        Special(core::seccomp_actions),
    ),
    ("set_default_qdisc", Special(net::default_qdisc)),
    ("stack_trace_sysctl", Int),
    ("sysctl_compaction_handler", Int),
    ("sysctl_delayacct", Special(core::delay_accounting)),
    ("sysctl_extfrag_handler", Int),
    ("sysctl_max_threads", Special(core::max_threads)),
    ("sysctl_min_slab_ratio_sysctl_handler", Int),
    ("sysctl_min_unmapped_ratio_sysctl_handler", Int),
    ("sysctl_numa_balancing", Special(core::numa_balancing)),
    ("sysctl_panic_print_handler", Long),
    ("sysctl_sched_uclamp_handler", Int),
    ("sysctl_schedstats", Special(core::scheduler_statistics)),
    ("sysctl_sys_info_handler", Special(core::system_information)),
    ("sysctl_vm_numa_stat_handler", Int),
    ("sysrq_sysctl_handler", Special(core::sysrq)),
    ("timer_migration_handler", Int),
    ("tracepoint_printk_sysctl", Int),
    ("vmstat_refresh", Special(core::nothing)),
    ("vsock_net_child_mode_string", Special(net::vsock_mode)),
    ("vsock_net_mode_string", Special(net::vsock_mode)),
    ("watermark_scale_factor_sysctl_handler", Int),
    ("xfs_deprecated_dointvec_minmax", Int),
    ("xfs_panic_mask_proc_handler", Int),
    ("xfs_stats_clear_proc_handler", Int),
    ("yama_dointvec_minmax", Int),
];

/// Handlers by address.
pub(super) struct Handlers(FxHashMap<VirtAddr, (&'static str, Decoder)>);

impl Handlers {
    pub(super) fn resolve(kernel: &Kernel, modules: &Modules) -> Self {
        let names: Vec<&str> = HANDLERS.iter().map(|(name, _)| *name).collect();
        let mut found = FxHashMap::default();
        for (index, address) in kernel.symbols_called(&names) {
            if let Some(known) = HANDLERS.get(index) {
                found.insert(address, *known);
            }
        }
        for module in modules.iter() {
            for known in HANDLERS {
                if let Some(address) = module.symbols.address(known.0) {
                    found.insert(address, *known);
                }
            }
        }
        Self(found)
    }

    pub(super) fn find(&self, handler: VirtAddr) -> Option<(&'static str, Decoder)> {
        self.0.get(&handler).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_are_in_order_and_once() {
        let names = HANDLERS.iter().map(|(name, _)| *name);
        let before = HANDLERS.iter().skip(1).map(|(name, _)| *name);
        for (one, next) in names.zip(before) {
            assert!(one.to_lowercase() < next.to_lowercase(), "{one} {next}");
        }
    }
}
