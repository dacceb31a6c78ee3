//! The graph as a page to walk about in: one file, no network.
//!
//! Source: HTML, "Restrictions for contents of script elements"; Content
//! Security Policy Level 3, which lets run and show what is known by its hash
//! and nothing else. What a name might smuggle in would not run.

use osbuild_store::StoreDir;
use serde_json::{Value, json};

use super::fold::{Folded, Folding};
use super::record;
use super::svg::{Drawing, STYLE};
use super::words;
use super::{BuildGraph, State};
use crate::graph::described::Step;
use crate::html;
use crate::quantities;

const TEMPLATE: &str = include_str!("page.html");
const PAGE_STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Writes the page.
pub fn page(graph: &BuildGraph, folding: Folding, store_dir: &StoreDir) -> String {
    let drawing = Drawing::new(graph, folding);
    let (width, height) = (drawing.layout.width.to_string(), drawing.layout.height.to_string());
    let mut picture = String::new();
    drawing.write(&mut picture);
    let style = format!("{STYLE}{PAGE_STYLE}");
    let legend: String = words::STATES.into_iter().map(legend_row).collect();
    let data = data(graph, &drawing.folded, store_dir).to_string();
    html::fill(
        TEMPLATE,
        &[
            ("title", &html::xml(&words::title(graph))),
            ("summary", &html::xml(&words::summary(graph))),
            ("style-hash", &html::hash(&style)),
            ("script-hash", &html::hash(SCRIPT)),
            ("style", &style),
            ("script", SCRIPT),
            ("width", &width),
            ("height", &height),
            ("picture", &picture),
            ("legend", &legend),
            ("critical-meaning", &html::xml(words::CRITICAL)),
            ("lines-meaning", &html::xml(words::LINES)),
            ("critical-time", &html::xml(&words::critical(graph))),
            ("data", &html::json_in_html(&data)),
        ],
    )
}

fn legend_row(state: State) -> String {
    let (class, word, meaning) = (state.id(), state.word(), html::xml(state.meaning()));
    let radius = if state == State::Fetch { 7 } else { 2 };
    format!(
        "<li><svg class=\"{class}\" aria-hidden=\"true\" width=\"34\" height=\"16\"><rect class=\"box\" x=\"1\" \
         y=\"1\" width=\"32\" height=\"14\" rx=\"{radius}\"/></svg> <span><b>{word}</b>: {meaning}</span></li>\n"
    )
}

/// What the script knows: steps with their words, so that only one place
/// decides how a time or a size is said.
fn data(graph: &BuildGraph, folded: &Folded, store_dir: &StoreDir) -> Value {
    let mut inputs = vec![Vec::new(); graph.steps.len()];
    for &(from, to) in &graph.edges {
        inputs[from].push(to);
    }
    let step = |(index, step): (usize, &Step)| {
        let mut entry = record::node(step, store_dir);
        entry["stateWord"] = step.state.word().into();
        entry["counted"] = quantities::duration(step.usual.ms).into();
        entry["usual"] = words::usual(step.usual).into();
        entry["size"] = step.size_bytes().map(quantities::size).into();
        entry["node"] = folded.node_of[index].into();
        entry["inputs"] = std::mem::take(&mut inputs[index]).into();
        entry
    };
    let steps: Vec<Value> = graph.steps.iter().enumerate().map(step).collect();
    json!({ "steps": steps, "critical": graph.critical })
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn sample_page() -> String {
        page(&sample::image(), Folding::Downloads, &StoreDir::default())
    }

    /// The text of the elements with this start tag.
    fn elements<'p>(page: &'p str, tag: &str, end: &str) -> Vec<&'p str> {
        page.split(tag).skip(1).map(|rest| rest.split(end).next().unwrap()).collect()
    }

    #[test]
    fn the_policy_lets_run_exactly_what_is_there() {
        let page = sample_page();
        let policy = elements(&page, "http-equiv=\"Content-Security-Policy\" content=\"", "\"")[0];
        let (styles, scripts) =
            (elements(&page, "<style>", "</style>"), elements(&page, "<script>", "</script>"));
        assert_eq!((styles.len(), scripts.len()), (1, 1));
        let expected = format!(
            "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
            html::hash(styles[0]),
            html::hash(scripts[0])
        );
        assert_eq!(policy, expected);
        // Neither would run under it.
        for inline in [" style=", " onclick=", " onload=", "javascript:"] {
            assert!(!page.replace(SCRIPT, "").contains(inline), "{inline}");
        }
    }

    #[test]
    fn a_page_needs_nothing_from_outside() {
        let page = sample_page();
        for word in
            ["http:", "https:", " src=", " href=", "@import", "url(", "fetch(", "XMLHttpRequest", "eval("]
        {
            assert!(!page.contains(word), "{word}");
        }
    }

    #[test]
    fn data_says_what_the_page_shows() {
        let page = sample_page();
        let text = elements(&page, "id=\"data\">", "</script>")[0];
        let data: Value = serde_json::from_str(text).unwrap();
        assert_eq!(data["critical"], json!([4, 1, 0]));
        let kernel = &data["steps"][1];
        assert_eq!(
            (&kernel["name"], &kernel["usual"], &kernel["inputs"], &kernel["node"], &kernel["stateWord"]),
            (&json!("linux-6.12"), &json!("12 min"), &json!([3, 4]), &json!(1), &json!("to build"))
        );
    }

    #[test]
    fn foreign_text_cannot_leave_its_place() {
        // No store would have such a name; a builder may be called anything.
        let mut graph = sample::image();
        let attack = "</script><script>alert(1)</script><!--<script>{{data}}";
        graph.steps[0].builder = attack.to_owned();
        graph.steps[0].system = "<!--".to_owned();
        let page = page(&graph, Folding::Downloads, &StoreDir::default());
        assert!(!page.contains("alert(1)</script>") && page.matches("<!--").count() == 0);
        let text = elements(&page, "id=\"data\">", "</script>")[0];
        let data: Value = serde_json::from_str(text).unwrap();
        assert_eq!(data["steps"][0]["builder"], attack);
        assert_eq!(page.matches("<script").count(), sample_page().matches("<script").count());
    }
}
