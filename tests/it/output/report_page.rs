//! What `report` shows: pictures with their words, numbers of the commands, nothing from elsewhere.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{RealDump, run, skip, small_dump};

pub(super) fn files(dump: &RealDump) -> [&str; 2] {
    [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"))
}

pub(super) fn report(dump: &RealDump, args: &[&str]) -> String {
    let args = [&["report", "-q"], args, &files(dump)[..]].concat();
    let (code, page, stderr) = run(&args);
    assert!(code == 0 || code == 4, "{args:?}: {stderr}");
    page
}

fn json(dump: &RealDump, args: &[&str]) -> Value {
    let args = [args, &["--format", "json", "-q"], &files(dump)[..]].concat();
    let (code, text, stderr) = run(&args);
    assert!(code == 0 || code == 4, "{args:?}: {stderr}");
    serde_json::from_str(&text).expect("JSON")
}

/// Each `<svg role="img" …>…</svg>`, less those that stand in another.
fn pictures(page: &str) -> Vec<&str> {
    let begins = page.match_indices("<svg class=\"picture").map(|(at, _)| at);
    let begins: Vec<usize> = begins.collect();
    let ends = begins.iter().skip(1).copied().chain([page.len()]);
    begins
        .iter()
        .zip(ends)
        .map(|(from, to)| &page[*from..to])
        .collect()
}

fn attribute<'p>(text: &'p str, name: &str) -> &'p str {
    let start = text.split_once(&format!(" {name}=\"")).expect(name).1;
    start.split_once('"').expect("it ends").0
}

#[test]
fn every_picture_says_in_words_what_it_shows_and_nothing_is_loaded() {
    let page = report(&small_dump(), &[]);
    let pictures = pictures(&page);
    assert!(pictures.len() >= 10, "{}", pictures.len());
    let mut ids = std::collections::BTreeSet::new();
    for picture in &pictures {
        assert_eq!(attribute(picture, "role"), "img");
        let told: Vec<&str> = attribute(picture, "aria-labelledby").split(' ').collect();
        let [title, text] = told[..] else {
            panic!("{told:?}")
        };
        for (element, id) in [("title", title), ("desc", text)] {
            let start = format!("<{element} id=\"{id}\">");
            let words = picture.split_once(&start).expect(id).1;
            let words = words.split_once("</").expect("it ends").0;
            assert!(words.len() > 8, "{id}: {words}");
            assert!(ids.insert(id.to_owned()), "{id} twice");
        }
    }
    for other in [
        "<script",
        "src=",
        "href=\"http",
        "url(",
        "@import",
        "<link",
        "<iframe",
    ] {
        assert!(!page.contains(other), "{other}");
    }
}

#[test]
fn the_treemap_is_the_ledger() {
    let dump = small_dump();
    let page = report(&dump, &["--sections", "pages"]);
    let ledger = &json(&dump, &["pages"])["sums"];
    let all = pictures(&page);
    let widths: Vec<_> = all
        .iter()
        .filter(|picture| picture.contains("id=\"ledger-"))
        .collect();
    assert_eq!(widths.len(), 3);
    for picture in widths {
        let boxes = picture.split("data-code=\"").skip(1).map(|text| {
            let code = text.split_once('"').expect("a code").0;
            let bytes: u64 = attribute(text, "data-bytes").parse().expect("a number");
            (code.to_owned(), bytes / 4096)
        });
        let mut boxes: Vec<_> = boxes.collect();
        boxes.sort();
        let lines = ledger["lines"].as_array().expect("lines");
        let mut lines: Vec<_> = lines
            .iter()
            .map(|line| {
                let code = line["code"].as_str().expect("a code").to_owned();
                (code, line["pages"].as_u64().expect("a number"))
            })
            .collect();
        lines.sort();
        assert_eq!(boxes, lines);
        let sum: u64 = boxes.iter().map(|(_, pages)| pages).sum();
        assert_eq!(Some(sum), ledger["pages"].as_u64());
    }
}

#[test]
fn bars_have_the_numbers_of_their_commands() {
    let dump = small_dump();
    let page = report(&dump, &["--sections", "conntrack_summary,ps"]);
    let summary = &json(&dump, &["conntrack", "--summary"])["summary"];
    let titled = |id: &str| {
        let all = pictures(&page);
        let found = all.into_iter().find(|one| one.contains(id)).expect(id);
        let titles = found.split("<g><title>").skip(1);
        let titles = titles.map(|text| text.split_once("</").expect("it ends").0.to_owned());
        titles.collect::<Vec<_>>()
    };
    let kinds = summary["by_kind"].as_array().expect("kinds");
    for (row, kind) in titled("id=\"states-").iter().zip(kinds) {
        let count = kind["count"].as_u64().expect("a number");
        assert!(
            row.ends_with(&format!("connections {count}")),
            "{row} {kind}"
        );
    }
    let left = summary["time_left"].as_array().expect("classes");
    let columns = titled("id=\"timeouts-");
    assert_eq!(columns.len(), left.len());
    for (row, class) in columns.iter().zip(left) {
        let count = class["count"].as_u64().expect("a number");
        assert!(
            row.ends_with(&format!(": {count} connections")),
            "{row} {class}"
        );
    }
    let ps = json(&dump, &["ps"]);
    let first = &ps["processes"][0];
    let row = &titled("id=\"processes-")[0];
    let name = format!(
        "{} ({}): ",
        first["comm"].as_str().expect("a name"),
        first["pid"]
    );
    assert!(row.starts_with(&name), "{row}");
}

#[test]
fn the_first_page_names_machine_cause_and_owner() {
    let page = report(&small_dump(), &["--sections", "leaks,pages"]);
    let brief = page.split_once("class=\"brief\"").expect("a summary").1;
    let brief = brief.split_once("</section>").expect("it ends").0;
    for words in [
        "What happened",
        "sysrq triggered crash",
        "What held the memory",
        "nothing in memory points to 600 of 788 objects",
        "What to do next",
        "who maintains the module leaky",
        "How sure this is",
        "All memory that verdicts rest on was in the dump",
    ] {
        assert!(brief.contains(words), "{words}: {brief}");
    }
    for (name, value) in [
        ("Died in", "init (pid 1) on CPU 0"),
        ("Tasks", "53"),
        ("Load", "0.00"),
    ] {
        let fact = format!("<dt>{name}</dt><dd>{value}");
        assert!(page.contains(&fact), "{fact}");
    }
}

#[test]
fn sections_are_those_that_were_asked_for() {
    let dump = small_dump();
    let page = report(&dump, &["--sections", "zones,modules"]);
    for (id, there) in [
        ("zones", true),
        ("modules", true),
        ("leaks", false),
        ("log", false),
    ] {
        let section = format!("<div class=\"text\" id=\"{id}\">");
        assert_eq!(page.contains(&section), there, "{id}");
    }
    assert!(page.contains("Lost objects were not looked for"), "{page}");
    let (code, _, stderr) = run(&["report", "--sections", "nothing", files(&dump)[0]]);
    assert_eq!(code, 2);
    assert!(stderr.contains("conntrack_summary"), "{stderr}");
}

/// A browser, where there is one.
fn chromium() -> Option<&'static str> {
    let known = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ];
    known.into_iter().find(|path| Path::new(path).exists())
}

/// What a browser measures: a page of its own around the report, which may run a script.
const MEASURE: &str = r#"<script>
addEventListener("load", () => {
  const found = [];
  const wide = document.documentElement.clientWidth;
  for (const one of document.querySelectorAll("details")) one.open = true;
  for (const one of document.querySelectorAll("body *")) {
    const box = one.getBoundingClientRect();
    if (box.width > 0 && box.right > wide + 1) found.push("off-screen: " + one.tagName + " " + one.textContent.slice(0, 40));
  }
  for (const svg of document.querySelectorAll("svg[role=img]")) {
    for (const text of svg.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      if (box.width === 0) continue;
      const own = (text.parentElement.classList.contains("box") ? text.parentElement.querySelector("rect") : svg).getBoundingClientRect();
      if (box.right > own.right + 1 || box.left < own.left - 1) found.push("cut: " + text.textContent);
    }
  }
  document.title = "MEASURED " + wide;
  document.body.innerHTML = "<pre>" + found.length + " faults\n" + found.join("\n") + "</pre>";
});
</script>"#;

#[test]
fn nothing_is_cut_or_off_screen_in_a_browser() {
    let Some(browser) = chromium() else {
        return skip("chromium: no browser to look at the page of report");
    };
    let page = report(&small_dump(), &[]);
    let (before, policy) = page.split_once("<meta http-equiv").expect("a policy");
    let behind = policy.split_once('>').expect("it ends").1;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("page.html");
    std::fs::write(&file, format!("{before}{MEASURE}{behind}")).expect("a file writes");
    // A window of chromium is not narrower than 500 pixels: a frame is.
    for width in [400, 800, 1280, 1600] {
        let frame = folder.path().join("frame.html");
        let text = format!(
            "<iframe id=f src=page.html style=\"border:0;width:{width}px;height:900px\"></iframe>\
             <script>onload = () => setTimeout(() => document.body.append(f.contentDocument.body.innerText), 500)</script>"
        );
        std::fs::write(&frame, text).expect("a file writes");
        let output = Command::new(browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--allow-file-access-from-files",
            ])
            .args([
                "--virtual-time-budget=10000",
                "--window-size=1700,1000",
                "--dump-dom",
            ])
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .arg(format!("file://{}", frame.display()))
            .output()
            .expect("the browser starts");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.contains("</iframe>"), "{width}: {told}");
        assert!(told.contains("0 faults"), "{width}: {told}");
    }
}
