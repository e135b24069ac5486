//! A session with the SDK's own client.

use std::path::{Path, PathBuf};
use std::process::Command;

use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::RunningService;
use rmcp::transport::TokioChildProcess;
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Value, json};

/// In a folder where a file has the name of a sysctl's start.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

async fn client(arguments: &[&str]) -> RunningService<RoleClient, ()> {
    let mut server = tokio::process::Command::new(env!("CARGO_BIN_EXE_vmleak-mcp"));
    server.current_dir(root());
    server
        .args(["corpora/small-6.12/vmcore", "corpora/small-6.12/vmlinux"])
        .args(arguments);
    let server = TokioChildProcess::new(server).expect("the server starts");
    ().serve(server).await.expect("a session")
}

async fn call(
    client: &RunningService<RoleClient, ()>,
    tool: &'static str,
    arguments: Value,
) -> CallToolResult {
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let request = CallToolRequestParams::new(tool).with_arguments(arguments);
    client.call_tool(request).await.expect("an answer")
}

fn document(result: CallToolResult) -> Value {
    assert_ne!(result.is_error, Some(true), "{:?}", result.content);
    result.structured_content.expect("a document")
}

fn refusal(result: CallToolResult) -> String {
    assert_eq!(
        result.is_error,
        Some(true),
        "{:?}",
        result.structured_content
    );
    result.content[0].as_text().expect("a text").text.clone()
}

#[tokio::test]
async fn tools_are_the_commands() {
    let client = client(&[]).await;
    let tools = client.list_all_tools().await.expect("tools");
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    for name in [
        "slabs",
        "leaks",
        "objects",
        "conntrack",
        "whatis",
        "info",
        "sysctl",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    for name in ["diff", "man", "completions", "bundle", "export"] {
        assert!(!names.contains(&name), "{name} opens or writes files");
    }
    let objects = tools
        .iter()
        .find(|tool| tool.name == "objects")
        .expect("objects");
    assert_eq!(objects.input_schema["required"], json!(["cache"]));
    let state = &objects.input_schema["properties"]["state"];
    assert_eq!(state["enum"], json!(["all", "allocated", "free"]));
    assert!(tools.iter().all(|tool| {
        tool.annotations
            .as_ref()
            .is_some_and(|hints| hints.read_only_hint == Some(true))
    }));
    client.cancel().await.expect("an end");
}

#[tokio::test]
async fn answers_are_bounded_and_go_on() {
    let client = client(&["--max-bytes", "50000"]).await;
    // The guest lost 300 of its objects, 350 were in use.
    let ask = |first: usize| json!({"cache": "leaky_session", "state": "allocated", "max_rows": 60, "first_row": first});
    let (mut addresses, mut first) = (Vec::new(), 0);
    loop {
        let answer = document(call(&client, "objects", ask(first)).await);
        // It is there twice: as JSON and as text.
        assert!(2 * answer.to_string().len() <= 50000);
        let rows = answer["objects"].as_array().expect("objects").clone();
        addresses.extend(rows.iter().map(|row| row["address"].to_string()));
        let cut = answer["cut"]
            .as_array()
            .and_then(|cut| cut.iter().find(|one| one["list"] == "objects"));
        match cut.and_then(|cut| cut["how_to_ask_on"].as_str()) {
            Some(how) => {
                first = how
                    .rsplit(' ')
                    .next()
                    .and_then(|number| number.parse().ok())
                    .expect("a number")
            }
            None => break,
        }
    }
    assert_eq!(addresses.len(), 350);
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 350);
    let leaks = document(call(&client, "leaks", json!({"max_rows": 3})).await);
    let subjects: Vec<&Value> = leaks["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|one| &one["subject"])
        .collect();
    assert!(subjects.contains(&&json!("leaky_session")), "{subjects:?}");
    client.cancel().await.expect("an end");
}

#[tokio::test]
async fn no_file_is_reached() {
    let client = client(&[]).await;
    for (tool, arguments) in [
        ("info", json!({"save_profile": "/tmp/x"})),
        ("slabs", json!({"output": "/tmp/x"})),
        ("slabs", json!({"files": ["/etc/passwd"]})),
        ("objects", json!({"cache": "--output=/tmp/x"})),
        ("objects", json!({"cache": "/etc/passwd"})),
        ("sysctl", json!({"pattern": ["Cargo.toml"]})),
        ("slabs", json!({"cache": ["a", "b"]})),
        ("slabs", json!({"max_rows": -1})),
    ] {
        let why = refusal(call(&client, tool, arguments.clone()).await);
        assert!(!why.contains("root:"), "{tool} {arguments}: {why}");
    }
    assert!(!Path::new("/tmp/x").exists());
    let wrong = client.call_tool(CallToolRequestParams::new("diff")).await;
    assert!(wrong.is_err());
    let sysctl = document(call(&client, "sysctl", json!({"pattern": ["kernel.ostype"]})).await);
    assert_eq!(sysctl["sysctls"][0]["value"], "Linux");
    client.cancel().await.expect("an end");
}

#[test]
fn what_can_not_be_opened_is_said() {
    let server = Command::new(env!("CARGO_BIN_EXE_vmleak-mcp"))
        .arg("/nowhere")
        .output()
        .expect("the server");
    assert_eq!(server.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&server.stderr).contains("/nowhere"));
    assert!(server.stdout.is_empty());
}
