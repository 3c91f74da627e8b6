//! `/apply-template`: the prompt that a chat would have.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::chat;
use crate::openai::{self, Endpoint};
use crate::serve::app::App;
use crate::serve::calculate::{Calculated, calculate};
use crate::serve::engine::Engine;
use crate::serve::error::HttpError;

/// The prompt of a conversation as text.
pub(in crate::serve) async fn apply_template(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, HttpError> {
    calculate(&app, request, prompt).await
}

fn prompt(app: &App, engine: &Engine, mut body: Map<String, Value>) -> Result<Calculated, HttpError> {
    // A chat cannot end in a question without the beginning of an answer; a prompt can.
    let continues = body.get("continue_final_message").is_some_and(|value| *value == json!(true));
    let is_open = continues || body.get("add_generation_prompt") != Some(&json!(false));
    if !is_open {
        body.shift_remove("add_generation_prompt");
    }
    let mut asked = openai::read(Endpoint::Chat, body)?;
    if !is_open {
        asked.continue_final = Some(false);
    }
    let asked = chat::conversation(app, engine, asked)?;
    let request = chat::request(&asked, 0);
    let prompt =
        if is_open { engine.session.rendered(&request) } else { engine.session.render_messages(&request) };
    Ok(Calculated { body: json!({ "prompt": prompt? }), unknown: asked.unknown })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::testing::{post, server};

    #[test]
    fn a_conversation_is_rendered_as_for_a_chat() {
        let router = server("");
        let user = json!({"role": "user", "content": "hi"});
        let assistant = json!({"role": "assistant", "content": "ho"});
        for (body, prompt) in [
            (json!({"messages": [user]}), "<user>hi\n<assistant><think>"),
            (json!({"messages": [user], "add_generation_prompt": true}), "<user>hi\n<assistant><think>"),
            (json!({"messages": [user], "add_generation_prompt": false}), "<user>hi\n"),
            (
                json!({"messages": [user], "chat_template_kwargs": {"enable_thinking": false}}),
                "<user>hi\n<assistant><think></think>",
            ),
            (json!({"messages": [user, assistant]}), "<user>hi\n<assistant>ho"),
            (
                json!({"messages": [user, assistant], "add_generation_prompt": false}),
                "<user>hi\n<assistant>ho\n",
            ),
        ] {
            let found = post(&router, "/apply-template", &body);
            assert_eq!(found.json(), json!({"prompt": prompt}), "{body}");
        }
    }

    #[test]
    fn a_conversation_that_a_chat_refuses_is_refused() {
        let router = server("");
        for body in
            [json!({}), json!({"messages": []}), json!({"messages": [{"role": "king", "content": "x"}]})]
        {
            assert_eq!(post(&router, "/apply-template", &body).status.as_u16(), 400, "{body}");
        }
    }
}
