//! The server: lists the tools and answers their calls.

use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
    Implementation, JsonObject, ListToolsResult, PaginatedRequestParams, ServerCapabilities,
    ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::Value as Json;
use vmleak::cli::ask::{self, AskError, CommandInfo, OpenDump};

use crate::answer::{Bounds, bounded};
use crate::tools;

/// One dump and what can be asked of it.
pub(crate) struct Server {
    dump: OpenDump,
    commands: Vec<CommandInfo>,
    bytes: usize,
}

/// Characters of what is said to be wrong.
const LONGEST: usize = 2000;

const INSTRUCTIONS: &str = "\
One crash dump of a Linux kernel is open, and can only be read. Each tool is a command of vmleak and \
answers with its JSON document: sizes are bytes, addresses hexadecimal strings, null is unknown. \
`complete` is false if something was missing: `warnings` say what. Begin with `info` and `leaks`; \
what holds the memory is in `meminfo`, `pages` and `slabs`. Where an answer was cut, `cut` says how \
to ask on.";

impl Server {
    /// Of a dump that is open; answers have at most so many bytes.
    pub(crate) fn new(dump: OpenDump, bytes: usize) -> Self {
        Self {
            dump,
            commands: ask::commands(),
            bytes,
        }
    }

    fn command(&self, name: &str) -> Option<&CommandInfo> {
        self.commands.iter().find(|one| one.name == name)
    }

    /// What a tool answers. What can't be asked so is an answer too, from which the program learns.
    async fn answer(&self, command: &CommandInfo, call: &JsonObject) -> Result<Json, String> {
        let bounds = Bounds::of(call, self.bytes)?;
        let words = tools::words(command, call)?;
        let dump = self.dump.clone();
        let asked = tokio::task::spawn_blocking(move || dump.ask(&words, None, Vec::new()));
        let answer = asked
            .await
            .map_err(|error| format!("the command did not end: {error}"))?;
        let answer = answer.map_err(|error: AskError| error.to_string())?;
        let document = serde_json::from_slice(&answer.out).map_err(|error| error.to_string())?;
        Ok(bounded(&document, bounds))
    }
}

/// What is wrong, without all that a client may have sent.
fn shortened(why: String) -> String {
    match why.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &why[..end]),
        None => why,
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("vmleak", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.command(name).map(tools::tool)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.commands.iter().map(tools::tool);
        Ok(ListToolsResult::with_all_items(tools.collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(command) = self.command(&request.name) else {
            return Err(ErrorData::invalid_params(
                format!("no tool is called {}", request.name),
                None,
            ));
        };
        let call = request.arguments.unwrap_or_default();
        let result = match self.answer(command, &call).await {
            Ok(document) => CallToolResult::structured(document),
            Err(why) => CallToolResult::error(vec![ContentBlock::text(shortened(why))]),
        };
        Ok(result.into())
    }
}
