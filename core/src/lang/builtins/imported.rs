//! `import` of a derivation's own file: the set that stands for it.

use std::path::Path;
use std::sync::Arc;

use osbuild_store::StorePath;

use super::{Eval, Evaluator, Pos};
use crate::derivation::placeholder::upstream_output;
use crate::derivation::{Derivation, Output};
use crate::lang::context::Element;
use crate::lang::source::Origin;

/// From what the file says to a set as `derivation` makes it, less the
/// arguments, which no one knows any more.
const IMPORTED: &str = r#"
made@{ name, drvPath, outputs, ... }:
let
  shared = builtins.listToAttrs each // {
    inherit drvPath name;
    all = builtins.map (output: output.value) each;
    type = "derivation";
  };
  each = builtins.map (outputName: {
    name = outputName;
    value = shared // {
      inherit outputName;
      outPath = builtins.getAttr outputName made;
    };
  }) outputs;
in
(builtins.head each).value
"#;

impl Evaluator {
    /// The derivation whose file a path is, if it is one that is known.
    pub(super) fn derivation_at(&self, path: &Path) -> Option<(StorePath, Arc<Derivation>)> {
        let (object, rest) = self.host.store_dir().split(path.to_str()?).ok()?;
        if !rest.is_empty() || !object.is_derivation() || !self.host.is_valid(&object) {
            return None;
        }
        let derivation = self.host.derivation(&object).ok()?;
        Some((object, derivation))
    }

    pub(super) fn imported_derivation(
        &mut self,
        object: &StorePath,
        derivation: &Derivation,
        pos: Pos,
    ) -> Eval {
        let host = self.host.clone();
        let store_dir = host.store_dir();
        let name = derivation.environment.get(&b"name"[..]).cloned().unwrap_or_default();
        let context = self.contexts.single(Element::DerivationDeep(object.clone()));
        let drv_path = self.string_with(store_dir.display(object).as_bytes(), context);
        let mut names = Vec::new();
        let mut members = Vec::new();
        for (output, kind) in &derivation.outputs {
            let text = match kind {
                Output::InputAddressed(path) | Output::Fixed { path, .. } => store_dir.display(path),
                Output::Floating { .. } | Output::Deferred => upstream_output(object, output.as_str()),
            };
            let element = Element::Built { derivation: object.clone(), output: output.as_str().to_owned() };
            let context = self.contexts.single(element);
            let value = self.string_with(text.as_bytes(), context);
            let symbol = self.symbols.intern(output.as_str().as_bytes());
            members.push(self.attr(symbol, value));
            names.push(self.string(output.as_str().as_bytes()));
        }
        members.push(self.attr(self.known.name, self.string(&name)));
        members.push(self.attr(self.known.drv_path, drv_path));
        members.push(self.attr(self.known.outputs, self.list(&names)));
        let made = self.attrs(members);
        let code = self.lower_text(IMPORTED, Origin::String, Path::new("/"), None)?;
        let env = self.scope(None, 0);
        let function = self.eval(code, env)?;
        self.call(function, &[made], pos)
    }
}
