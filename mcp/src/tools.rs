//! The commands as tools: input schemas from their definition, and calls as words.

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value as Json, json};
use vmleak::cli::ask::{CommandInfo, OptionInfo, Value};

/// How many rows an answer has unless the call says otherwise.
pub(crate) const ROWS: usize = 100;

/// Bounds of an answer, which every tool takes besides the command's own options.
pub(crate) const FIRST: &str = "first_row";
/// See [`FIRST`].
pub(crate) const MOST: &str = "max_rows";

/// A command as a tool.
pub(crate) fn tool(command: &CommandInfo) -> Tool {
    let mut properties = serde_json::Map::new();
    for option in &command.options {
        properties.insert(name(option), schema(option));
    }
    let whole = |text: &str, least: usize| json!({"type": "integer", "minimum": least, "description": text});
    properties.insert(MOST.to_owned(), whole("Most elements of each list in the answer (100 by default); `cut` says where there are more", 1));
    properties.insert(
        FIRST.to_owned(),
        whole(
            "Number of the first element of the longest list, from 0: to ask on",
            0,
        ),
    );
    let required: Vec<String> = command
        .options
        .iter()
        .filter(|one| one.required)
        .map(name)
        .collect();
    let schema = json!({
        "type": "object", "properties": properties, "required": required,
        "additionalProperties": false,
    });
    let schema = schema.as_object().cloned().unwrap_or_default();
    let description = match command.details.as_str() {
        "" => command.about.clone(),
        details => format!("{}\n\n{details}", command.about),
    };
    let hints = ToolAnnotations::new()
        .read_only(true)
        .destructive(false)
        .idempotent(true)
        .open_world(false);
    Tool::new(command.name.clone(), description, schema).with_annotations(hints)
}

/// Of a property: an option's name with underscores.
fn name(option: &OptionInfo) -> String {
    option.name.replace('-', "_")
}

fn schema(option: &OptionInfo) -> Json {
    let mut schema = match &option.value {
        Value::Flag => json!({"type": "boolean"}),
        Value::Number => json!({"type": "integer", "minimum": 0}),
        Value::OneOf(choices) => json!({"type": "string", "enum": choices}),
        _ => json!({"type": "string"}),
    };
    if option.many {
        schema = json!({"type": "array", "items": schema});
    }
    schema["description"] = option.help.clone().into();
    schema
}

/// What of a call is not as the schema says.
pub(crate) type Wrong = String;

/// A call in words of the command line. Values stand behind an equals sign and places behind two
/// dashes, so that none is taken for an option.
pub(crate) fn words(command: &CommandInfo, call: &JsonObject) -> Result<Vec<String>, Wrong> {
    let mut said = vec![command.name.clone(), "--format=json".to_owned()];
    let mut placed = vec!["--".to_owned()];
    for (property, value) in call {
        if [FIRST, MOST].contains(&property.as_str()) {
            continue;
        }
        let Some(option) = command.options.iter().find(|one| name(one) == *property) else {
            return Err(format!("{} takes no {property}", command.name));
        };
        for value in texts(option, value)? {
            match (value, option.positional) {
                (None, _) => said.push(format!("--{}", option.name)),
                (Some(value), false) => said.push(format!("--{}={value}", option.name)),
                (Some(value), true) => placed.push(value),
            }
        }
    }
    if placed.len() > 1 {
        said.extend(placed);
    }
    Ok(said)
}

/// The values of an option; `None` of a flag that is set.
fn texts(option: &OptionInfo, value: &Json) -> Result<Vec<Option<String>>, Wrong> {
    match value {
        Json::Null | Json::Bool(false) => Ok(Vec::new()),
        Json::Bool(true) if option.value == Value::Flag => Ok(vec![None]),
        Json::String(text) => Ok(vec![Some(text.clone())]),
        // An address is hexadecimal, which a number would not be.
        Json::Number(number) if !option.positional => Ok(vec![Some(number.to_string())]),
        Json::Array(several) if option.many => {
            let each = several.iter().map(|one| texts(option, one));
            Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
        }
        other => Err(format!("{} can't be {other}", name(option))),
    }
}
