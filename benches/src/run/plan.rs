//! What is to be measured, and in which order.

use crate::engine::{Engine, Kind};
use crate::manifest::Program;
use crate::measure;
use crate::schema::{EngineInfo, ProgramInfo, SizeInfo};
use crate::stats::Random;
use sha2::{Digest, Sha256};
use std::fs;

/// One engine, program and size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Cell {
    pub(crate) engine: Engine,
    /// Index in [`Plan::programs`].
    pub(crate) program: usize,
    pub(crate) size: String,
}

/// An engine, and its version or why it is not here.
pub(crate) type Checked = (Engine, Result<String, String>);

/// What is to be measured.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Also those that are skipped.
    pub(crate) engines: Vec<EngineInfo>,
    pub(crate) programs: Vec<Program>,
    /// The cells that have not failed.
    pub(crate) cells: Vec<Cell>,
    /// What is left out, and why.
    pub(crate) skipped: Vec<String>,
}

impl Plan {
    /// All engines that are here, with all programs that are here, at those of the sizes that they have.
    ///
    /// # Errors
    /// If nothing is left, a module is missing, or a size is not one of any program.
    pub(crate) fn new(
        engines: Vec<Checked>,
        programs: Vec<Program>,
        sizes: &str,
        load_only: bool,
    ) -> Result<Self, String> {
        let mut plan = Self {
            engines: Vec::new(),
            programs: Vec::new(),
            cells: Vec::new(),
            skipped: Vec::new(),
        };
        let wanted: Vec<&str> = sizes.split(',').map(str::trim).collect();
        check_sizes(&wanted, &programs)?;
        for program in programs {
            plan.add_program(program, &wanted)?;
        }
        let mut here: Vec<Engine> = Vec::new();
        for (engine, found) in engines {
            let (version, skipped) = match found {
                Ok(version) => {
                    here.push(engine);
                    (version, None)
                }
                Err(reason) => {
                    plan.skipped.push(format!("{engine}: {reason}"));
                    (String::new(), Some(reason))
                }
            };
            let name = engine.to_string();
            plan.engines.push(EngineInfo {
                name,
                version,
                skipped,
            });
        }
        plan.add_cells(&here, load_only);
        if plan.cells.is_empty() {
            return Err(format!(
                "nothing is left to measure: {}",
                plan.skipped.join("; ")
            ));
        }
        Ok(plan)
    }

    fn add_program(&mut self, mut program: Program, wanted: &[&str]) -> Result<(), String> {
        let name = &program.name;
        if !program.module.exists() {
            let path = program.module.display();
            if program.kind == "corpus" {
                self.skipped
                    .push(format!("{name}: not fetched; `cargo xtask corpus` does it"));
                return Ok(());
            }
            return Err(format!(
                "program {name:?}: expected its module, found no file {path}"
            ));
        }
        if program.sizes.len() > 1 && !wanted.contains(&"all") {
            program.sizes.retain(|size| wanted.contains(&size.as_str()));
        }
        if program.sizes.is_empty() {
            self.skipped
                .push(format!("{name}: it has no size {}", wanted.join(" or ")));
            return Ok(());
        }
        self.programs.push(program);
        Ok(())
    }

    fn add_cells(&mut self, engines: &[Engine], load_only: bool) {
        for (index, program) in self.programs.iter().enumerate() {
            for engine in engines {
                if matches!(engine.kind, Kind::Native(_))
                    && let Some(reason) = not_native(program, load_only)
                {
                    self.skipped
                        .push(format!("{}, {engine}: {reason}", program.name));
                    continue;
                }
                // Loading is the same at every size.
                let count = if load_only || program.compile_only {
                    1
                } else {
                    usize::MAX
                };
                self.cells
                    .extend(program.sizes.iter().take(count).map(|size| Cell {
                        engine: *engine,
                        program: index,
                        size: size.clone(),
                    }));
            }
        }
    }

    /// Says on standard error what is left out.
    pub(crate) fn tell_skipped(&self) {
        for word in &self.skipped {
            eprintln!("skipped: {word}");
        }
    }

    pub(crate) fn program(&self, cell: &Cell) -> &Program {
        &self.programs[cell.program]
    }

    /// Each engine with each of its programs, program by program.
    pub(crate) fn pairs(&self) -> Vec<(Engine, usize)> {
        let mut pairs: Vec<(Engine, usize)> = Vec::new();
        for cell in &self.cells {
            if !pairs.contains(&(cell.engine, cell.program)) {
                pairs.push((cell.engine, cell.program));
            }
        }
        pairs
    }

    /// The cells in an order for one round.
    pub(crate) fn order(&self, random: &mut Random) -> Vec<Cell> {
        let mut groups: Vec<(usize, &str)> = Vec::new();
        for cell in &self.cells {
            let group = (cell.program, cell.size.as_str());
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        random.shuffle(&mut groups);
        let mut order: Vec<Cell> = Vec::with_capacity(self.cells.len());
        for group in groups {
            let cells = self.cells.iter();
            let cells = cells.filter(|cell| (cell.program, cell.size.as_str()) == group);
            let mut cells: Vec<Cell> = cells.cloned().collect();
            random.shuffle(&mut cells);
            order.append(&mut cells);
        }
        order
    }

    /// Leaves a cell out from now on.
    pub(crate) fn drop_cell(&mut self, cell: &Cell) {
        self.cells.retain(|other| other != cell);
    }

    /// Leaves out all sizes of a program in an engine; returns their cells.
    pub(crate) fn drop_pair(&mut self, engine: Engine, program: usize) -> Vec<Cell> {
        let is_of = |cell: &Cell| cell.engine == engine && cell.program == program;
        let dropped = self
            .cells
            .iter()
            .filter(|cell| is_of(cell))
            .cloned()
            .collect();
        self.cells.retain(|cell| !is_of(cell));
        dropped
    }

    /// The programs as they are written.
    ///
    /// # Errors
    /// If a module cannot be read.
    pub(crate) fn infos(&self) -> Result<Vec<ProgramInfo>, String> {
        self.programs.iter().map(info).collect()
    }
}

/// Every size must be one of some program, unless no program has more than one.
fn check_sizes(wanted: &[&str], programs: &[Program]) -> Result<(), String> {
    let several = || programs.iter().filter(|program| program.sizes.len() > 1);
    let known = |size: &str| several().any(|p| p.sizes.iter().any(|known| known == size));
    let unknown = wanted.iter().find(|size| **size != "all" && !known(size));
    match unknown {
        Some(size) if several().next().is_some() => {
            let mut names: Vec<&str> = Vec::new();
            for size in several().flat_map(|program| &program.sizes) {
                if !names.contains(&size.as_str()) {
                    names.push(size);
                }
            }
            let names = names.join(", ");
            Err(format!(
                "expected sizes of the programs ({names}) or `all`, found {size:?}"
            ))
        }
        Some(_) | None => Ok(()),
    }
}

/// Why a program cannot be measured natively.
fn not_native(program: &Program, load_only: bool) -> Option<&'static str> {
    if load_only || program.compile_only {
        Some("there is nothing to load")
    } else if program.native.is_none() && program.source.is_empty() {
        Some("it has neither source nor a native binary")
    } else {
        None
    }
}

/// What a run file tells of a program.
///
/// # Errors
/// If its module cannot be read.
fn info(program: &Program) -> Result<ProgramInfo, String> {
    let module = fs::read(&program.module)
        .map_err(|error| format!("{}: cannot read: {error}", program.module.display()))?;
    let digest = Sha256::digest(&module);
    let sizes = program.sizes.iter().map(|name| SizeInfo {
        name: name.clone(),
        expected_checksum: program
            .expected
            .get(name)
            .map(|output| measure::checksum(output, 1)),
    });
    Ok(ProgramInfo {
        name: program.name.clone(),
        kind: program.kind.clone(),
        like: program.like.clone(),
        wasm_bytes: u64::try_from(module.len()).unwrap_or(u64::MAX),
        wasm_sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        sizes: sizes.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Cell, Checked, Plan};
    use crate::engine::Engine;
    use crate::manifest::Program;
    use crate::stats::Random;
    use std::path::Path;

    fn program(name: &str, kind: &str, sizes: &[&str]) -> Program {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
        let here = if kind == "corpus" {
            "gone.wasm"
        } else {
            "Cargo.toml"
        };
        Program {
            name: name.to_owned(),
            kind: kind.to_owned(),
            sizes: sizes.iter().map(|size| (*size).to_owned()).collect(),
            ..Program::of_file(&directory.join(here))
        }
    }

    fn plan(sizes: &str, load_only: bool) -> Result<Plan, String> {
        let engines = Engine::parse_list("upshift/baseline/lazy,upshift/baseline/eager,native");
        let mut with_source = program("a", "int", &["s", "t"]);
        with_source.source = vec!["a.c".into()];
        let programs = vec![
            with_source,
            program("b", "int", &["only"]),
            program("c", "int", &["t", "u"]),
            program("d", "corpus", &["only"]),
        ];
        let engines = engines.expect("engines").into_iter();
        let mut engines: Vec<Checked> =
            engines.map(|engine| (engine, Ok("1".to_owned()))).collect();
        let gone = "v8".parse().expect("an engine");
        engines.push((gone, Err("no node".to_owned())));
        Plan::new(engines, programs, sizes, load_only)
    }

    fn show(cells: &[Cell]) -> String {
        let cells = cells.iter().map(|cell| {
            let engine = cell.engine.to_string().replace("upshift/baseline/", "");
            format!("{}{}{}", cell.program, cell.size, &engine[..1])
        });
        cells.collect::<Vec<String>>().join(" ")
    }

    #[test]
    fn cells() {
        let check = |sizes: &str, load_only: bool, expected: &str| {
            let plan = plan(sizes, load_only).expect(sizes);
            assert_eq!(show(&plan.cells), expected);
        };
        check("s", false, "0sl 0se 0sn 1onlyl 1onlye");
        check("u,t", false, "0tl 0te 0tn 1onlyl 1onlye 2tl 2ul 2te 2ue");
        check("all", true, "0sl 0se 1onlyl 1onlye 2tl 2te");
        let error = plan("s,v", false).expect_err("v");
        assert!(
            error.contains("(s, t, u)") && error.contains("\"v\""),
            "{error}"
        );
    }

    #[test]
    fn what_is_left_out_is_said() {
        let skipped = plan("s", false).expect("a plan").skipped.join("\n");
        for part in [
            "b, native: it has neither",
            "c: it has no size s",
            "d: not fetched",
            "v8: no node",
        ] {
            assert!(skipped.contains(part), "{skipped}");
        }
        let mut gone = program("p", "int", &["only"]);
        gone.module = "gone.wasm".into();
        let error = Plan::new(Vec::new(), vec![gone], "s", false).expect_err("no module");
        assert!(
            error.contains("\"p\"") && error.contains("gone.wasm"),
            "{error}"
        );
        let error = Plan::new(Vec::new(), vec![program("p", "int", &["only"])], "s", false);
        assert!(error.expect_err("no engine").contains("nothing is left"));
    }

    #[test]
    fn rounds_keep_what_is_compared_together() {
        let mut plan = plan("all", false).expect("a plan");
        let mut random = Random::seeded(3);
        let mut orders: Vec<String> = Vec::new();
        for _ in 0..8 {
            let order = plan.order(&mut random);
            assert_eq!(order.len(), plan.cells.len());
            let groups = order.chunk_by(|a, b| (a.program, &a.size) == (b.program, &b.size));
            assert_eq!(groups.count(), 5, "{}", show(&order));
            orders.push(show(&order));
        }
        orders.sort();
        orders.dedup();
        assert!(orders.len() > 4, "{orders:?}");
        let engine = plan.cells[0].engine;
        assert_eq!(show(&plan.drop_pair(engine, 0)), "0sl 0tl");
        let cell = plan.cells[0].clone();
        plan.drop_cell(&cell);
        assert_eq!(
            show(&plan.cells),
            "0te 0sn 0tn 1onlyl 1onlye 2tl 2ul 2te 2ue"
        );
    }
}
