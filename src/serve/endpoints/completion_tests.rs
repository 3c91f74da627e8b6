//! `/completion`, and lists of prompts, on scripts.

use serde_json::{Value, json};

use crate::serve::testing::{post, server};

const PATH: &str = "/completion";

#[test]
fn a_text_is_continued_whole() {
    let reply = post(&server("a\nb"), PATH, &json!({"prompt": "Once", "return_tokens": true, "seed": 42}));
    assert_eq!(reply.status, 200, "{}", reply.text);
    let body = reply.json();
    assert_eq!(body["content"], "a\nb");
    assert_eq!(body["tokens"], json!([97, 10, 98, 256]));
    assert_eq!([&body["stop"], &body["stop_type"]], [&json!(true), &json!("eos")]);
    assert_eq!([&body["has_new_line"], &body["truncated"]], [&json!(true), &json!(false)]);
    assert_eq!([&body["prompt"], &body["model"]], [&json!("Once"), &json!("model")]);
    assert_eq!([&body["generation_settings"]["seed"], &body["generation_settings"]["n_predict"]], [42, -1]);
    assert_eq!([&body["tokens_evaluated"], &body["tokens_predicted"]], [4, 4]);
    assert_eq!([&body["timings"]["prompt_n"], &body["timings"]["predicted_n"]], [4, 4]);
    let plain = post(&server("a"), "/v1/completion", &json!({"prompt": "Once"})).json();
    assert_eq!(plain["tokens"], json!([]));
    assert_eq!(plain.get("completion_probabilities"), None);
}

#[test]
fn a_stop_text_and_a_limit_end_an_answer() {
    let body = post(&server("one. two."), PATH, &json!({"prompt": "x", "stop": ["none", ". t"]})).json();
    assert_eq!([&body["content"], &body["stop_type"], &body["stopping_word"]], ["one", "word", ". t"]);
    let body = post(&server("one. two."), PATH, &json!({"prompt": "x", "n_predict": 3})).json();
    assert_eq!([&body["content"], &body["stop_type"], &body["stopping_word"]], ["one", "limit", ""]);
    assert_eq!(body["generation_settings"]["n_predict"], 3);
}

#[test]
fn prompts_in_every_form_are_answered_in_order() {
    let server = server("y");
    let prompts = json!(["ab", [97, 98], [97, "b"], {"prompt_string": "ab"}, "abc"]);
    let body = post(&server, PATH, &json!({ "prompt": prompts })).json();
    let all = body.as_array().unwrap();
    let found: Vec<_> = all.iter().map(|one| (&one["prompt"], one["index"].as_u64())).collect();
    let ab = json!("ab");
    assert_eq!(
        found,
        [(&ab, Some(0)), (&ab, Some(1)), (&ab, Some(2)), (&ab, Some(3)), (&json!("abc"), Some(4))]
    );
    assert!(all.iter().all(|one| one["content"] == "y"));
    let single = post(&server, PATH, &json!({"prompt": [97, 98]})).json();
    assert_eq!((&single["prompt"], &single["tokens_evaluated"]), (&ab, &json!(2)));
    let several = post(&server, PATH, &json!({"prompt": ["a", "b"], "n_cmpl": 2, "seed": 5})).json();
    let seeds: Vec<_> = several
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["prompt"].as_str().unwrap(), one["generation_settings"]["seed"].as_u64().unwrap()))
        .collect();
    assert_eq!(seeds, [("a", 5), ("a", 6), ("b", 5), ("b", 6)]);
}

#[test]
fn a_stream_has_tokens_and_ends_with_the_rest() {
    let body = json!({"prompt": "Once", "stream": true, "return_progress": true, "timings_per_token": true});
    let reply = post(&server("ab"), PATH, &body);
    assert_eq!(reply.headers["content-type"], "text/event-stream");
    assert!(!reply.text.contains("[DONE]"));
    let chunks = reply.frames();
    let (last, before) = chunks.split_last().unwrap();
    assert_eq!(
        [&last["stop"], &last["stop_type"], &last["content"]],
        [&json!(true), &json!("eos"), &json!("")]
    );
    let text: String = before.iter().map(|chunk| chunk["content"].as_str().unwrap()).collect();
    let tokens: Vec<Value> =
        before.iter().flat_map(|chunk| chunk["tokens"].as_array().unwrap().clone()).collect();
    assert_eq!((text.as_str(), json!(tokens)), ("ab", json!([97, 98, 256])));
    assert!(before.iter().all(|chunk| chunk["stop"] == false && chunk["timings"]["prompt_n"].is_number()));
    let progress: Vec<&Value> = chunks.iter().filter_map(|chunk| chunk.get("prompt_progress")).collect();
    assert_eq!(progress[progress.len() - 1]["processed"], 4);
    assert!(progress.iter().all(|progress| progress["time_ms"].is_number()));
}

#[test]
fn probabilities_are_given_in_both_forms_and_only_where_they_are_known() {
    let server = server("ab");
    let one = json!({"prompt": "x", "n_probs": 2, "temperature": 0});
    let body = post(&server, PATH, &one).json();
    let first = &body["completion_probabilities"][0];
    assert_eq!([&first["id"], &first["token"], &first["logprob"]], [&json!(97), &json!("a"), &json!(0.0)]);
    assert_eq!(first["top_logprobs"][0]["id"], 97);
    let mut after = one.clone();
    after["post_sampling_probs"] = json!(true);
    let first = post(&server, PATH, &after).json()["completion_probabilities"][0].clone();
    assert_eq!([&first["prob"], &first["top_probs"][0]["prob"]], [1.0, 1.0]);
    after["temperature"] = json!(0.5);
    let refused = post(&server, PATH, &after);
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["error"]["param"]),
        (400, &json!("post_sampling_probs"))
    );
    let mut streamed = one;
    streamed["stream"] = json!(true);
    let chunks = post(&server, PATH, &streamed).frames();
    let counts: Vec<usize> = chunks
        .iter()
        .filter(|chunk| chunk["stop"] == false)
        .map(|chunk| chunk["completion_probabilities"].as_array().unwrap().len())
        .collect();
    assert_eq!(counts, [1, 1, 1]);
}

#[test]
fn biases_of_texts_are_those_of_their_tokens() {
    let body = json!({"prompt": "x", "logit_bias": [["ab", -1.0], [5, false]]});
    let body = post(&server("y"), PATH, &body).json();
    let biases = &body["generation_settings"]["logit_bias"];
    let of = |token: i32, bias: Value| json!({"token": token, "bias": bias});
    assert_eq!(*biases, json!([of(5, Value::Null), of(97, json!(-1.0)), of(98, json!(-1.0))]));
}

#[test]
fn answers_that_would_repeat_too_much_of_a_request_are_refused_unless_it_is_left_out() {
    let server = server("y");
    let mut body = json!({"prompt": "x", "n_cmpl": 128, "logit_bias": vec![json!([5, -1.5]); 30_000]});
    let refused = post(&server, PATH, &body);
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["error"]["param"]),
        (400, &json!("response_fields"))
    );
    body["response_fields"] = json!(["content"]);
    let answers = post(&server, PATH, &body).json();
    assert_eq!(answers, json!(vec![json!({"content": "y"}); 128]));
}

#[test]
fn an_end_that_is_ignored_is_among_the_biases() {
    let body = json!({"prompt": "x", "ignore_eos": true, "n_predict": 1});
    let body = post(&server("y"), PATH, &body).json();
    assert_eq!(body["generation_settings"]["logit_bias"], json!([{"token": 256, "bias": null}]));
}

#[test]
fn the_fields_of_a_body_can_be_selected() {
    let fields = json!(["content", "generation_settings/n_predict", "prompt"]);
    let body = json!({"prompt": "Once", "n_predict": 2, "response_fields": fields});
    let body = post(&server("abc"), PATH, &body).json();
    assert_eq!(body, json!({"content": "ab", "generation_settings/n_predict": 2, "prompt": "Once"}));
}

#[test]
fn wrong_prompts_are_refused_with_their_reason() {
    let server = server("y");
    let error = |body: Value| {
        let reply = post(&server, PATH, &body);
        assert_eq!(reply.status, 400, "{}", reply.text);
        reply.json()["error"].clone()
    };
    assert_eq!(error(json!({}))["param"], "prompt");
    let unknown = error(json!({"prompt": [97, 257], "stream": true}));
    assert_eq!(unknown["code"], "invalid_prompt");
    let expected = "token 257 at position 1 of the prompt is not in the vocabulary of 257 tokens";
    assert_eq!(unknown["message"], expected);
    assert_eq!(error(json!({"prompt": [[97], [-1]]}))["param"], "prompt");
    assert_eq!(error(json!({"prompt": "x".repeat(5000)}))["code"], "context_length_exceeded");
    assert_eq!(error(json!({"prompt": vec![97; 20_000]}))["code"], "context_length_exceeded");
    assert_eq!(error(json!({"prompt": ""}))["code"], "invalid_prompt");
    let media = json!({"prompt": {"prompt_string": "x", "multimodal_data": ["aGk="]}});
    assert_eq!(error(media)["param"], "prompt.multimodal_data");
}

#[test]
fn lists_of_prompts_are_choices_in_order_for_openais_endpoint_too() {
    let body = json!({"prompt": ["a", [97, 98]], "n": 2, "max_tokens": 1});
    let reply = post(&server("y"), "/v1/completions", &body);
    assert_eq!(reply.status, 200, "{}", reply.text);
    let body = reply.json();
    let indexes: Vec<_> =
        body["choices"].as_array().unwrap().iter().map(|choice| choice["index"].as_u64()).collect();
    assert_eq!(indexes, [Some(0), Some(1), Some(2), Some(3)]);
    assert_eq!([&body["usage"]["prompt_tokens"], &body["usage"]["completion_tokens"]], [3, 4]);
}
