//! `pages` and `bpf` against what drgn counted on the same dumps, and against what guests held and
//! lost on purpose.

use std::collections::HashSet;

use serde_json::Value;

use crate::support::{RealDump, json, number, printed, real_dumps};

fn document(dump: &RealDump, command: &str) -> Value {
    json(&printed(dump, command, &["--format", "json"]))
}

fn pages_of(document: &Value, code: &str) -> u64 {
    let lines = document["sums"]["lines"].as_array().expect("lines");
    let line = lines.iter().find(|line| line["code"] == code);
    line.map_or(0, |line| number(&line["pages"]))
}

/// Pages by their structures, counted with drgn: free, kept by CPUs, of slabs, of processes, of
/// files; behind blk-mq's requests, where that was counted.
#[test]
fn pages_are_what_their_structures_say() {
    for (name, [free, on_cpus, slab, anon, files], requests) in [
        ("5.10", [173_106, 423, 7_112, 97, 11_133], 5_920),
        ("6.1", [169_282, 6_012, 7_972, 100, 11_877], 320),
        ("6.12", [172_210, 9_780, 6_262, 101, 5_925], 320),
        ("7.2", [169_527, 9_161, 6_715, 102, 6_334], 320),
    ] {
        for dump in real_dumps(&[name]) {
            let document = document(&dump, "pages");
            let what = &dump.name;
            let of = |code: &str| pages_of(&document, code);
            assert_eq!(of("free"), free, "{what}");
            assert_eq!(of("free_on_cpus"), on_cpus, "{what}");
            assert_eq!(of("slab"), slab, "{what}");
            assert_eq!(of("anon"), anon, "{what}");
            assert_eq!(of("page_cache") + of("shmem"), files, "{what}");
            assert_eq!(of("block_requests"), requests, "{what}");
        }
    }
}

/// /proc/iomem tells all of RAM, and no more than a hundredth of it is known to nobody.
#[test]
fn all_of_ram_is_in_one_line_or_another() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        let document = document(&dump, "pages");
        let what = &dump.name;
        let iomem = dump.captured("iomem");
        let ram = iomem
            .lines()
            .filter_map(|line| line.strip_suffix(" : System RAM"));
        let ram = ram.filter_map(|range| {
            let (start, end) = range.split_once('-')?;
            let address = |text: &str| u64::from_str_radix(text, 16).ok();
            Some((address(end)? + 1) / 4096 - address(start)?.div_ceil(4096))
        });
        let ledger = &document["sums"];
        assert_eq!(number(&ledger["ram_pages"]), ram.sum::<u64>(), "{what}");
        assert_eq!(ledger["pages"], ledger["ram_pages"], "{what}");
        let unexplained = number(&ledger["unexplained_pages"]);
        assert!(
            unexplained * 100 < number(&ledger["pages"]),
            "{what}: {unexplained}"
        );
        let rows = document["ledger"].as_array().expect("rows");
        let rows = rows.iter().map(|row| number(&row["bytes"])).sum::<u64>();
        assert_eq!(rows, number(&document["ram_bytes"]), "{what}");
        assert!(number(&document["lost"]["pages"]) < 64, "{what}");
        assert_eq!(document["complete"], true, "{what}");
    }
}

/// Areas of vmalloc have the pages that the guest's own list says, but for tasks that came or went.
#[test]
fn areas_have_the_pages_of_vmallocinfo() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2"]) {
        let document = document(&dump, "pages");
        let told = dump.captured("vmallocinfo");
        for caller in ["pcpu_create_chunk", "load_module", "bpf_prog_pack_alloc"] {
            let pages = told.lines().filter(|line| line.contains(caller));
            let pages = pages.filter_map(|line| {
                let word = line.split(' ').find_map(|word| word.strip_prefix("pages="));
                word?.parse::<u64>().ok()
            });
            let wanted: u64 = pages.sum();
            let areas = document["areas"].as_array().expect("areas");
            let found = areas.iter().find(|area| area["caller"] == caller);
            let found = found.map_or(0, |area| number(&area["pages"]));
            assert_eq!(found, wanted, "{}: {caller}", dump.name);
        }
    }
}

/// What each process of the guest told that it holds: kind, name, process and bytes.
fn held(dump: &RealDump) -> Vec<(String, String, u64, u64)> {
    let text = dump.captured("keepers");
    // What a kernel does not allow it says between them.
    let lines = text.lines().filter(|line| line.contains(" keep-"));
    let lines = lines.map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let [kind, comm, pid, bytes] = words[..] else {
            panic!("{line}");
        };
        let number = |text: &str| text.parse().expect("a number");
        (kind.to_owned(), comm.to_owned(), number(pid), number(bytes))
    });
    lines.collect()
}

const OWNERS: [&str; 3] = ["5.10-owners", "6.1-owners", "7.2-owners"];

/// Pages of pipes, queues and rings are named with the process that has them.
#[test]
fn what_processes_hold_is_theirs() {
    for dump in real_dumps(&OWNERS) {
        let document = document(&dump, "pages");
        let owned = document["owned"].as_array().expect("owned");
        for (kind, comm, pid, bytes) in held(&dump) {
            // Of stream sockets of AF_UNIX a sixteenth lies in slabs: the first bytes of each packet.
            let (owner, in_pages) = match &*kind {
                "pipe" => ("pipe", bytes),
                "packet_ring" => ("packet_ring", bytes),
                "io_uring" => ("io_uring", bytes),
                "tcp" => ("socket_buffers", bytes),
                "unix" => ("socket_buffers", bytes / 16 * 15),
                _ => continue,
            };
            let of = owned.iter().filter(|one| {
                one["kind"] == owner && one["comm"] == *comm && number(&one["pid"]) == pid
            });
            let found: u64 = of.map(|one| number(&one["pages"]) * 4096).sum();
            let what = format!("{}: {kind} of {comm}: {found} for {bytes}", dump.name);
            // Rings are rounded up to a power of two, and have heads; each of the 12 pipes has an
            // array of 256 slots of 40 bytes, in four pages, and up to two pages to spare.
            let most = match owner {
                "io_uring" => in_pages * 3 / 2,
                "pipe" => in_pages + 12 * 6 * 4096,
                _ => in_pages + in_pages / 50,
            };
            assert!((in_pages..=most).contains(&found), "{what}");
        }
    }
}

/// The pages that a module lost, and hardly any other: some that the kernel itself splits at boot.
#[test]
fn lost_pages_are_those_that_the_guest_told() {
    for dump in real_dumps(&OWNERS) {
        let what = &dump.name;
        let told = dump.captured("scenario.objects");
        let told = told.lines().filter_map(|line| line.split_once(' '));
        let told: HashSet<&str> = told.map(|(_, address)| address).collect();
        assert_eq!(told.len(), 1_050, "{what}");
        let leaks = document(&dump, "leaks");
        let judged = &leaks["kernel_pages"];
        assert_eq!(judged["verdict"]["level"], "leak", "{what}");
        assert_eq!(judged["owners"][0]["module"], "pages", "{what}");
        let blocks = judged["blocks"].as_array().expect("blocks");
        let found = blocks.iter().map(|one| one["address"].as_str());
        let found: HashSet<&str> = found.map(|at| at.expect("an address")).collect();
        // A stale word leads to a few of them.
        let right = found.intersection(&told).count();
        assert!(right >= 1_040, "{what}: {right}");
        assert!(found.len() - right < 32, "{what}: {}", found.len() - right);
    }
}

/// One page and all pages are judged alike: also those behind other lost ones.
#[test]
fn whatis_calls_lost_what_pages_does() {
    for dump in real_dumps(&["6.1", "6.1-owners", "7.2-owners"]) {
        let lost = &document(&dump, "pages")["lost"]["first"];
        let lost = lost.as_array().expect("blocks");
        assert!(!lost.is_empty(), "{}", dump.name);
        for block in lost.iter().take(3) {
            let page = format!("pfn:{}", block["pfn"]);
            let more = [&page, "--path", "--format", "json"];
            let one = json(&printed(&dump, "whatis", &more));
            assert_eq!(one["page_at"]["lost"], true, "{}: {page}", dump.name);
            // It is no way to itself.
            let steps = one["path"]["steps"].as_array();
            assert!(steps.is_none_or(Vec::is_empty), "{}: {page}", dump.name);
        }
    }
}

#[test]
fn no_page_is_lost_where_none_was() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        let leaks = document(&dump, "leaks");
        let level = &leaks["kernel_pages"]["verdict"]["level"];
        assert_eq!(level, "clean", "{}", dump.name);
    }
}

/// As `keepers` asks for them (scripts/guest/keepers.c).
#[test]
fn maps_are_as_their_maker_made_them() {
    for dump in real_dumps(&["6.1-owners", "7.2-owners"]) {
        let what = &dump.name;
        let document = document(&dump, "bpf");
        let maps = document["maps"].as_array().expect("maps");
        for (name, kind, key, value, entries, least) in [
            ("keep_array", "array", 4, 4_096, 2_048, 2_048 * 4_096),
            ("keep_hash", "hash", 8, 1_016, 4_096, 4_096 * 1_024),
            ("keep_ringbuf", "ringbuf", 0, 0, 4 << 20, 4 << 20),
            ("keep_percpu", "percpu_array", 4, 8_192, 128, 0),
        ] {
            let map = maps.iter().find(|map| map["name"] == name);
            let map = map.unwrap_or_else(|| panic!("{what}: no {name}"));
            assert_eq!(map["kind"], kind, "{what}: {name}");
            assert_eq!(number(&map["key_size"]), key, "{what}: {name}");
            assert_eq!(number(&map["value_size"]), value, "{what}: {name}");
            assert_eq!(number(&map["max_entries"]), entries, "{what}: {name}");
            let bytes = number(&map["area_bytes"]);
            assert!((least..=least * 11 / 10).contains(&bytes), "{what}: {name}");
            assert_eq!(map["open_by"]["comm"], "keep-bpf", "{what}: {name}");
        }
        let percpu = maps.iter().find(|map| map["name"] == "keep_percpu");
        let percpu = number(&percpu.expect("found above")["percpu_bytes"]);
        assert_eq!(percpu, 2 * 128 * 8_192, "{what}: two CPUs");
    }
}

/// /proc/zoneinfo tells the pages of each zone (`present`); and the free ones are those on its lists.
#[test]
fn zones_have_the_pages_that_the_kernel_counts() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2"]) {
        let what = &dump.name;
        let all = document(&dump, "pages");
        let zones = document(&dump, "zones");
        let nodes = zones["nodes"].as_array().expect("nodes").iter();
        let told = nodes.flat_map(|node| node["zones"].as_array().expect("zones"));
        let told: Vec<&Value> = told.filter(|zone| zone["present"] != 0).collect();
        let ours = all["zones"].as_array().expect("zones");
        let ours: Vec<&Value> = ours.iter().filter(|zone| !zone["node"].is_null()).collect();
        assert_eq!(ours.len(), told.len(), "{what}");
        for (zone, told) in ours.iter().zip(told) {
            assert_eq!(zone["zone"], told["name"], "{what}");
            assert_eq!(zone["pages"], told["present"], "{what}");
            let lines = zone["lines"].as_array().expect("lines");
            let free = lines.iter().find(|line| line["code"] == "free");
            let blocks = told["free_blocks"].as_array().expect("blocks").iter();
            let on_lists: u64 = blocks
                .zip(0..)
                .map(|(count, order)| number(count) << order)
                .sum();
            assert_eq!(
                number(&free.expect("free pages")["pages"]),
                on_lists,
                "{what}"
            );
        }
        // Each line is as large as those of all zones; what was reserved is several lines there.
        for line in all["sums"]["lines"].as_array().expect("lines") {
            let code = line["code"].as_str().expect("a code");
            if matches!(code, "kernel_image" | "crash_kernel" | "boot") {
                continue;
            }
            let zones = all["zones"].as_array().expect("zones").iter();
            let lines = zones.flat_map(|zone| zone["lines"].as_array().expect("lines"));
            let of = lines.filter(|one| one["code"] == code);
            let sum: u64 = of.map(|one| number(&one["pages"])).sum();
            assert_eq!(sum, number(&line["pages"]), "{what}: {code}");
        }
    }
}
