//! The pages about vmleak itself, and the shells' completions.

use crate::support::run;

#[test]
fn the_man_page_has_every_command_and_its_sections() {
    let (code, page, _) = run(&["man"]);
    assert_eq!(code, 0);
    for section in ["EXAMPLES", "EXIT STATUS", "ENVIRONMENT", "FILES"] {
        let heads = [format!(".SH {section}"), format!(".SH \"{section}\"")];
        assert!(
            page.lines()
                .any(|line| heads.iter().any(|head| head == line)),
            "{section}"
        );
    }
    let (_, help, _) = run(&["--help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() > 12, "{names:?}");
    for name in names {
        let entry = format!("vmleak\\-{}", name.replace('-', "\\-"));
        assert!(page.contains(&entry), "{name}");
        let (code, own, stderr) = run(&["man", name]);
        assert_eq!(code, 0, "{name}: {stderr}");
        assert!(own.contains(&entry), "{name}");
    }
    let (code, _, stderr) = run(&["man", "nosuch"]);
    assert_eq!(code, 2, "{stderr}");
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, stderr) = run(&["completions", shell]);
        assert_eq!(code, 0, "{shell}: {stderr}");
        for word in ["kmemleak", "conntrack", "fail-on"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(run(&["completions", "nosuch"]).0, 2);
}
