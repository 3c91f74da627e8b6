//! The rules of the calls of an answer: those that are demanded, and those that may be there instead of a JSON schema's
//! text.

use super::Session;
use super::error::ToolChoiceError;
use super::prompt::offered;
use super::request::{ChatRequest, ToolChoice};
use crate::chat::{CallRules, Calls, Start};
use crate::engine::Rules;

impl Session {
    /// The rules of the calls that a request demands.
    pub(super) fn forced_call(&self, request: &ChatRequest) -> Result<Option<Rules>, ToolChoiceError> {
        let calls = match &request.tool_choice {
            ToolChoice::Auto | ToolChoice::None => return Ok(None),
            ToolChoice::Required => several(request),
            ToolChoice::Function(name) => Calls::One(name),
        };
        if request.tools.is_empty() {
            return Err(ToolChoiceError::NoTools);
        }
        if request.sampling.grammar.is_some() {
            return Err(ToolChoiceError::Grammar);
        }
        let format = self.template().tool_format(&request.tools);
        let format = format.ok_or(ToolChoiceError::UnknownSyntax)?;
        match (CallRules::new(format, &request.tools, calls)?, calls) {
            (Some(rules), _) => Ok(Some(composed(rules))),
            (None, Calls::One(name)) => Err(ToolChoiceError::UnknownFunction { name: name.to_owned() }),
            (None, Calls::Any | Calls::AnyOnce) => Err(ToolChoiceError::NoTools),
        }
    }

    /// The rules of an answer that conforms to the JSON schema of a request or calls functions; `None` if it has no schema
    /// or nothing to call.
    pub(super) fn schema_or_calls(
        &self,
        request: &ChatRequest,
        start: Start,
    ) -> Result<Option<Rules>, ToolChoiceError> {
        let Some(format) = offered(self.template(), request) else { return Ok(None) };
        let schema = match request.sampling.grammar.as_ref().map(|grammar| &*grammar.rules) {
            Some(Rules::JsonSchema(schema)) => schema,
            Some(Rules::Gbnf(_)) => {
                // It may have calls of its own.
                self.warned.grammar_with_tools();
                return Ok(None);
            }
            Some(Rules::Composed { .. }) | None => return Ok(None),
        };
        let has_header = matches!(start, Start::MidContent(_));
        let rules = CallRules::or_content(format, &request.tools, several(request), schema, has_header);
        Ok(rules.map_err(ToolChoiceError::Unwritable)?.map(composed))
    }
}

fn several(request: &ChatRequest) -> Calls<'static> {
    if request.parallel_tool_calls { Calls::Any } else { Calls::AnyOnce }
}

fn composed(CallRules { lark, schemas, tags }: CallRules) -> Rules {
    Rules::Composed { lark, schemas, tags }
}
