//! `report`: the page says what the commands say, and as a document holds what theirs hold.

use serde_json::Value;
use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::kdump;
use vmleak_synth::{Era, Machine, PagingLevels, Scenario, damage};

use crate::support::{RealDump, real_dumps, run, small_dump};

/// What has a part of its own, and what of the small dump's kernel there is nothing to say about.
const SAID: [&[&str]; 9] = [
    &["leaks"],
    &["slabs"],
    &["meminfo"],
    &["vmalloc"],
    &["memcg"],
    &["conntrack", "--summary"],
    &["sysctl", "--check"],
    &["modules"],
    &["info"],
];

fn files(dump: &RealDump) -> [&str; 2] {
    [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"))
}

/// The page without its tags, characters as they were. Cells and paragraphs are apart.
fn text_of(page: &str) -> String {
    let mut pieces = page.split('<');
    let mut text = pieces.next().unwrap_or("").to_owned();
    for piece in pieces {
        let (tag, rest) = piece.split_once('>').expect("a tag ends");
        let within = ["span", "/span"].iter().any(|name| tag.starts_with(name));
        text += if within { "" } else { " " };
        text += rest;
    }
    let named = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#x2f;", "/"),
        ("&amp;", "&"),
    ];
    named.iter().fold(text, |text, (name, character)| {
        text.replace(name, character)
    })
}

/// The words, without the lines that say which dump it is.
fn words_of(text: &str) -> String {
    let body = text.split_once("\n\n").map_or(text, |(_, body)| body);
    body.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_says_what_the_commands_say() {
    for dump in std::iter::once(small_dump()).chain(real_dumps(&["6.1"])) {
        let (code, page, stderr) = run(&[&["report"], &files(&dump)[..]].concat());
        let said = text_of(&page);
        let words: Vec<&str> = said.split_whitespace().collect();
        let words = words.join(" ");
        let (mut found, mut worst) = (0, 0);
        for command in SAID {
            let args = [command, &files(&dump)[..], &["--color", "never"]].concat();
            let (one, text, _) = run(&args);
            // What a kernel does not have is told in a line.
            if one == 3 {
                continue;
            }
            assert!(
                words.contains(&words_of(&text)),
                "{}: {command:?}: {text}",
                dump.name
            );
            found += 1;
            worst = worst.max(one);
        }
        assert_eq!(code, worst, "{}: {stderr}", dump.name);
        assert!(found >= 6, "{}: {found}", dump.name);
        let (_, log, _) = run(&[&["log"], &files(&dump)[..]].concat());
        assert!(said.contains(log.lines().last().expect("a log")));
        for missing in ["CONFIG_DEBUG_KMEMLEAK", "CONFIG_PAGE_OWNER"] {
            assert!(said.contains(missing), "{}: {missing}", dump.name);
        }
        // It needs no other file, and runs nothing.
        for other in ["<script", "src=", "href=\"http", "url(", "@import"] {
            assert!(!page.contains(other), "{}: {other}", dump.name);
        }
    }
}

#[test]
fn the_document_holds_theirs() {
    let dump = small_dump();
    let document = |args: &[&str]| -> Value {
        let args = [args, &files(&dump)[..], &["--format", "json"]].concat();
        let (code, stdout, stderr) = run(&args);
        assert!(code == 0 || code == 4, "{args:?}: {stderr}");
        serde_json::from_str(&stdout).expect("JSON")
    };
    let whole = document(&["report"]);
    let frame = document(&["info"]);
    assert_eq!(whole["dump"], frame["dump"]);
    for command in [&["leaks"][..], &["meminfo"], &["modules"], &["log"]] {
        let mut own = document(command);
        let own = own.as_object_mut().expect("an object");
        for key in [
            "schema_version",
            "tool",
            "dump",
            "complete",
            "warnings",
            "assumptions",
        ] {
            own.remove(key).expect("the frame");
        }
        assert_eq!(whole[command[0]].as_object(), Some(&*own), "{command:?}");
    }
    let untold = whole["untold"].as_object().expect("what there is not");
    assert!(untold.contains_key("kmemleak") && !untold.contains_key("leaks"));
}

#[test]
fn names_from_the_dump_are_text_and_losses_are_said() {
    const NAME: &str = "<i>&\"'</i>";
    let mut scenario = Scenario::standard();
    let caches = scenario.caches.iter_mut().map(|cache| &mut cache.name);
    let objects = scenario.kfence.iter_mut().map(|object| &mut object.cache);
    caches
        .chain(objects)
        .filter(|name| *name == "leaky_session")
        .for_each(|name| *name = NAME.to_owned());
    let mut machine = Machine::build(Era::V6_12, PagingLevels::Four, &scenario);
    let folder = tempfile::tempdir().expect("a temporary directory");
    let [dump, types] = ["dump", "vmlinux"].map(|name| folder.path().join(name));
    let [dump, types] = [&dump, &types].map(|path| path.to_str().expect("UTF-8"));
    std::fs::write(types, vmlinux(&machine, VmlinuxOptions::new(5))).expect("a file writes");
    let write = |machine: &Machine| {
        let options = kdump::Options::new(Codec::Zlib);
        std::fs::write(dump, kdump::kdump(machine, options)).expect("a file writes");
        let (code, page, _) = run(&["report", dump, types]);
        (code, page)
    };
    let [missing, unsearched] = [
        "Something was missing in the dump",
        "Lost objects could not be looked for",
    ];
    let (_, page) = write(&machine);
    assert!(
        text_of(&page).contains(NAME) && !page.contains("<i>&"),
        "{page}"
    );
    assert!(!page.contains(unsearched), "{page}");
    let sections = machine.kernel.symbol("mem_section");
    let table = machine.kernel.read_u64(sections);
    damage::exclude_address(&mut machine, table);
    // Nor does anything else say where page structures are.
    let base = machine.kernel.symbol("vmemmap_base");
    machine.kernel.write_u64(base, 0);
    let (code, page) = write(&machine);
    assert_eq!((code, page.contains(missing)), (4, true), "{page}");
    assert!(page.contains(unsearched), "{page}");
}
