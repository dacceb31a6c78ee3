//! A real browser, told what to do over the WebDriver protocol.
//!
//! Source: W3C WebDriver; `goog:` and `/se/log` as ChromeDriver documents them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::judge::machine_judge;

pub(crate) struct Browser {
    driver: Child,
    client: reqwest::blocking::Client,
    session: String,
    /// Everything that the browser writes.
    home: tempfile::TempDir,
}

/// An element's name in JSON, as the protocol has it.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Slow machines start browsers slowly.
const PATIENCE: Duration = Duration::from_secs(180);

impl Browser {
    /// None where there is no browser and it may be skipped.
    pub(crate) fn start() -> Option<Self> {
        let driver = machine_judge("chromedriver", "OSBUILD_CHROMEDRIVER")?;
        let browser = machine_judge("chromium", "OSBUILD_CHROMIUM")?;
        let home = tempfile::tempdir().unwrap();
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let port = port(&mut driver);
        let client = reqwest::blocking::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let mut started = Self { driver, client, session: format!("http://127.0.0.1:{port}/session"), home };
        let data = started.home.path().join("profile");
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "binary": browser, "args": [
                "--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
                // Needed by root, whose pages could do anything; these are ours.
                "--no-sandbox",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-dev-shm-usage", "--window-size=1400,900",
                format!("--user-data-dir={}", data.display()),
            ] },
        } } });
        let session = started.call(Method::POST, "", capabilities);
        started.session =
            format!("{}/{}", started.session, session["sessionId"].as_str().expect("a session"));
        Some(started)
    }

    pub(crate) fn open(&self, file: &Path) {
        self.call(Method::POST, "/url", json!({ "url": format!("file://{}", file.display()) }));
    }

    /// What a function's body returns in the page.
    pub(crate) fn script(&self, body: &str) -> Value {
        self.call(Method::POST, "/execute/sync", json!({ "script": body, "args": [] }))
    }

    pub(crate) fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.call(Method::POST, &format!("/element/{element}/click"), json!({}));
    }

    /// Types into an element, which gets the focus.
    pub(crate) fn type_into(&self, selector: &str, keys: &str) {
        let element = self.element(selector);
        self.call(Method::POST, &format!("/element/{element}/value"), json!({ "text": keys }));
    }

    /// Presses one key wherever the focus is.
    pub(crate) fn press(&self, key: &str) {
        self.act(json!({ "type": "key", "id": "keys", "actions": [
            { "type": "keyDown", "value": key }, { "type": "keyUp", "value": key },
        ] }));
    }

    /// Turns the wheel over a point of the page; down is positive.
    pub(crate) fn wheel(&self, (x, y): (i32, i32), pixels: i32) {
        self.act(json!({ "type": "wheel", "id": "wheel", "actions": [
            { "type": "scroll", "x": x, "y": y, "deltaX": 0, "deltaY": pixels },
        ] }));
    }

    pub(crate) fn drag(&self, from: (i32, i32), to: (i32, i32)) {
        let at = |(x, y): (i32, i32)| json!({ "type": "pointerMove", "duration": 50, "x": x, "y": y });
        self.act(json!({ "type": "pointer", "id": "mouse", "actions": [
            at(from), { "type": "pointerDown", "button": 0 }, at(to), { "type": "pointerUp", "button": 0 },
        ] }));
    }

    /// Shown text.
    pub(crate) fn text(&self, selector: &str) -> String {
        let text = self.call(Method::GET, &format!("/element/{}/text", self.element(selector)), Value::Null);
        text.as_str().expect("text").to_owned()
    }

    /// What a screen reader is told: role and name.
    pub(crate) fn spoken(&self, selector: &str) -> (String, String) {
        let element = self.element(selector);
        let ask = |what: &str| {
            let said = self.call(Method::GET, &format!("/element/{element}/{what}"), Value::Null);
            said.as_str().expect("text").to_owned()
        };
        (ask("computedrole"), ask("computedlabel"))
    }

    /// What the console was told since the last call, worth a line each.
    pub(crate) fn console(&self) -> Vec<String> {
        let log = self.call(Method::POST, "/se/log", json!({ "type": "browser" }));
        log.as_array().expect("a list").iter().map(Value::to_string).collect()
    }

    /// It complains about nothing.
    pub(crate) fn is_content(&self) {
        let complaints = self.console();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }

    fn act(&self, source: Value) {
        self.call(Method::POST, "/actions", json!({ "actions": [source] }));
    }

    fn element(&self, selector: &str) -> String {
        let query = json!({ "using": "css selector", "value": selector });
        let found = self.call(Method::POST, "/element", query);
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.client.request(method, format!("{}{path}", self.session));
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        let answer = request.send().and_then(|response| response.text());
        let text = answer.unwrap_or_else(|error| panic!("{path}: {error}"));
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {text}"));
        assert!(answer["value"]["error"].is_null(), "{path} {body}: {}", answer["value"]["message"]);
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser with the session; then itself.
        let _ = self.client.delete(&self.session).send();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The port on which the driver says it listens.
fn port(driver: &mut Child) -> u16 {
    let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let line = lines.next().expect("chromedriver says where it listens").unwrap();
        let port = line.rsplit(' ').next().map(|word| word.trim_end_matches('.'));
        if let Some(port) = port.filter(|_| line.contains("started successfully")) {
            // It must not block on a full pipe.
            std::thread::spawn(move || lines.for_each(drop));
            return port.parse().expect("a port");
        }
    }
    panic!("chromedriver did not start");
}
