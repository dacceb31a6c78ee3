//! Every template against everything that users may set: at the edges, so that
//! one that breaks does so when the image is built.

use osbuild_schema::{Document, Key, Schema, nest};
use serde_json::{Value, json};

use crate::template::{Output, Template, TemplateError};

/// What became of a template under some settings.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What was set, in words.
    pub settings: String,
    pub result: Result<Output, TemplateError>,
}

/// Renders a template with the defaults, with each setting that it reads at
/// each of its edges, and with all of them at once at the first and at the
/// last; these as long as nothing is known of the node, too. `facts` are
/// examples of what may be found out.
pub fn try_all(template: &Template, schema: &Schema, facts: &Value) -> Vec<Trial> {
    let read: Vec<(&Key, Vec<Value>)> = schema
        .iter()
        .filter(|(key, _)| template.settings().iter().any(|group| key.is_within(group)))
        .map(|(key, setting)| (key, setting.kind.samples()))
        .collect();
    let edge = |pick: &dyn Fn(&[Value]) -> Value| {
        nest(read.iter().map(|(key, samples)| (*key, pick(samples))), str::to_owned)
    };
    let mut cases = vec![
        ("the defaults".to_owned(), json!({})),
        ("every setting at its first edge".to_owned(), edge(&|samples| samples[0].clone())),
        ("every setting at its last edge".to_owned(), edge(&|samples| samples[samples.len() - 1].clone())),
    ];
    let mut trials: Vec<Trial> = cases
        .iter()
        .map(|(settings, tree)| {
            trial(template, schema, &json!({}), &format!("{settings}, and nothing known of the node"), tree)
        })
        .collect();
    for (key, samples) in &read {
        for sample in samples {
            cases.push((format!("{key} = {sample}"), nest([(*key, sample.clone())], str::to_owned)));
        }
    }
    trials.extend(cases.iter().map(|(settings, tree)| trial(template, schema, facts, settings, tree)));
    trials
}

fn trial(template: &Template, schema: &Schema, facts: &Value, settings: &str, tree: &Value) -> Trial {
    let document = Document::from_tree(schema, tree).expect("samples are of their kind").effective(schema);
    Trial { settings: settings.to_owned(), result: template.render(schema, &document, facts) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::tests::{schema, template};

    fn broken(form: &str, body: &str) -> Vec<String> {
        let head = format!("path = \"a\"\nform = \"{form}\"\nsettings = [\"network\", \"motd\"]");
        let trials = try_all(&template(&head, body).unwrap(), &schema(), &json!({}));
        trials
            .into_iter()
            .filter_map(|trial| Some(format!("{}: {}", trial.settings, trial.result.err()?)))
            .collect()
    }

    #[test]
    fn a_template_that_minds_the_edges_passes() {
        let body = "[Network]\n{% for server in settings.network.dns_servers %}\nDNS={{ server }}\n{% endfor %}\n\
                    {% if settings.network.mtu %}\nMTUBytes={{ settings.network.mtu }}\n{% endif %}\n# {{ settings.motd }}\n";
        assert_eq!(broken("systemd", body), Vec::<String>::new());
    }

    #[test]
    fn one_that_forgets_them_is_caught() {
        // Nobody set it.
        let found = broken("text", "{{ settings.network.mtu }}");
        assert!(
            found.contains(&"the defaults: t:6: a setting that is not set cannot be written".to_owned()),
            "{found:?}"
        );
        // It is right for the default only.
        assert!(!broken("text", "{{ settings.network.dns_servers[0] }}").is_empty());
        // It is known only later.
        let head = "path = \"a\"\nform = \"text\"\nsettings = []\nfacts = [\"node_ip\"]";
        let trials =
            try_all(&template(head, "{{ facts.node_ip }}").unwrap(), &schema(), &json!({ "node_ip": "::1" }));
        let failed: Vec<&str> = trials
            .iter()
            .filter(|trial| trial.result.is_err())
            .map(|trial| trial.settings.as_str())
            .collect();
        assert_eq!(failed.len(), 3, "{failed:?}");
        assert_eq!(failed[0], "the defaults, and nothing known of the node");
        // Quotes by hand.
        let found = broken("json", "{ \"motd\": \"{{ settings.motd | safe }}\" }");
        assert!(found.iter().any(|line| line.contains("is no JSON")), "{found:?}");
    }
}
