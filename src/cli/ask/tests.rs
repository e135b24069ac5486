use super::*;

const SMALL: [&str; 2] = ["corpora/small-6.12/vmcore", "corpora/small-6.12/vmlinux"];

fn asked(dump: &OpenDump, words: &[&str]) -> Result<String, AskError> {
    let answer = dump.ask(words, None, Vec::new())?;
    Ok(String::from_utf8(answer.out).expect("text"))
}

#[test]
fn files_can_not_be_named_in_a_question() {
    let dump = OpenDump::open(Options::new(SMALL)).expect("the small dump");
    for words in [
        &["info", "--save-profile", "/tmp/x"][..],
        &["slabs", "-o", "/tmp/x"],
        &["slabs", "/proc/kcore"],
        &["slabs", "--live"],
        &["slabs", "--types", "profile:/etc/passwd"],
        &["objects", "dentry", "/etc/passwd"],
        &["diff", "/etc/passwd"],
        &["man"],
        &["no-such"],
        &["objects", "no-such"],
        &["objects", "dentry", "--format", "proc"],
        &[],
    ] {
        let answer = asked(&dump, words);
        assert!(
            matches!(answer, Err(AskError::Usage(_))),
            "{words:?}: {answer:?}"
        );
    }
}

#[test]
fn words_are_no_files() {
    let dump = OpenDump::open(Options::new(SMALL)).expect("the small dump");
    // A folder here, and the start of names there.
    let answer = asked(&dump, &["sysctl", "kernel", "--format", "json"]).expect("an answer");
    assert!(answer.contains("kernel.ostype"));
    assert!(asked(&dump, &["sysctl", "src"]).is_err());
}

#[test]
fn a_question_leaves_nothing_behind_for_the_next() {
    let dump = OpenDump::open(Options::new(SMALL)).expect("the small dump");
    let words = ["conntrack", "--format", "json"];
    let first = asked(&dump, &words).expect("an answer");
    assert_eq!(asked(&dump, &words).expect("another"), first);
    assert!(asked(&dump, &["kmemleak"]).is_err());
    assert_eq!(asked(&dump, &words).expect("a third"), first);
}

#[test]
fn who_has_seen_enough_ends_the_answer() {
    struct First(Vec<u8>);
    impl Write for First {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if !self.0.is_empty() {
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let dump = OpenDump::open(Options::new(SMALL)).expect("the small dump");
    let words = ["slabs", "--format", "jsonl"];
    let answer = dump
        .ask(&words, None, First(Vec::new()))
        .expect("what was seen");
    assert!(answer.out.0.starts_with(b"{\"dump_id\""));
}

#[test]
fn options_are_those_of_the_command_line() {
    let all = commands();
    let of = |name: &str| all.iter().find(|one| one.name == name).expect("a command");
    let option = |command: &str, name: &str| {
        let found = of(command).options.iter().find(|one| one.name == name);
        found.expect("an option").clone()
    };
    assert_eq!(option("slabs", "cache").value, Value::Text);
    assert_eq!(option("slabs", "all").value, Value::Flag);
    assert_eq!(option("objects", "limit").value, Value::Number);
    let states = ["all", "allocated", "free"].map(str::to_owned).to_vec();
    assert_eq!(option("objects", "state").value, Value::OneOf(states));
    let cache = option("objects", "cache");
    assert!(cache.required && cache.positional && !cache.many);
    let pattern = option("sysctl", "pattern");
    assert!(!pattern.required && pattern.positional && pattern.many);
    assert!(of("slabs").formats.contains(&"slabinfo".to_owned()));
    let files = [
        "output",
        "types",
        "save-profile",
        "live",
        "fail-on",
        "files",
    ];
    let named = all.iter().flat_map(|one| &one.options);
    assert!(
        named
            .filter(|one| files.contains(&one.name.as_str()))
            .count()
            == 0
    );
}

/// python/generate writes them from these, and takes the built package to do so.
#[test]
fn each_command_and_option_is_a_method_of_the_python_package() {
    let written = std::fs::read_to_string("python/vmleak/_commands.py").expect("the methods");
    let methods: Vec<&str> = written.split("\n    def ").skip(1).collect();
    for command in commands() {
        let start = format!("{}(", command.name.replace('-', "_"));
        let method = methods.iter().find(|method| method.starts_with(&start));
        let method = method.unwrap_or_else(|| panic!("no method {start}"));
        for option in &command.options {
            let name = option.name.replace('-', "_");
            assert!(
                method.contains(&format!("        {name}")),
                "{start}..{name}"
            );
        }
    }
    assert_eq!(
        methods.len(),
        commands().len() + 1,
        "command() and no other"
    );
}
