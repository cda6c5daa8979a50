//! `report.pdf`: that it says what `report.html` says, that nothing from files is more than text in it, and that its bytes
//! stay the same. What it says is read with poppler's tools; where they are not there, that part is skipped, visibly.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::cli::{p, run_in, status, text};
use crate::evidence::{Case, poison};
use crate::package::{DOCS_AND_CODE, Pack, read, relative};

/// Documents of an evidence folder that the report is drawn from.
const DOCUMENTS: [&str; 5] = [
    "EVIDENCE_SUMMARY.json",
    "availability/timeline.json",
    "availability/availability_72h.json",
    "availability/availability_144h.json",
    "model_updates/model_updates_verification.json",
];

/// Packages with a PDF and gives its place. `PROMPROOF_PAGES` names a folder to keep it in, to be looked at.
fn pdf(pack: &Pack, name: &str, more: &[&str]) -> PathBuf {
    let output = pack.output(&[&DOCS_AND_CODE[..], &["--pdf", "--force"], more].concat());
    assert!(text(&output.stderr).is_empty(), "{name}: {}", text(&output.stderr));
    let path = pack.path("out/report.pdf");
    assert!(std::fs::read(&path).unwrap().starts_with(b"%PDF-1.7"), "{name}");
    if let Some(dir) = std::env::var_os("PROMPROOF_PAGES") {
        std::fs::copy(&path, Path::new(&dir).join(format!("{name}.pdf"))).unwrap();
    }
    path
}

/// What a tool prints, or `None` where it is not there.
fn tool(program: &str, arguments: &[&str], path: &Path) -> Option<String> {
    match Command::new(program).args(arguments).arg(path).args(["-"].iter().filter(|_| program == "pdftotext")).output()
    {
        Ok(output) => {
            assert!(output.status.success(), "{program}: {}", text(&output.stderr));
            Some(text(&output.stdout))
        }
        Err(_) => {
            eprintln!("skipped: what report.pdf says; {program} is not there (poppler-utils)");
            None
        }
    }
}

/// The text of a document without spaces and ends of lines, in the order in which it was laid out.
fn words(path: &Path) -> Option<String> {
    let said = tool("pdftotext", &["-raw", "-enc", "UTF-8"], path)?;
    Some(said.chars().filter(|c| !c.is_whitespace()).collect())
}

/// The words that a page shows, without those of plots.
fn shown(page: &str) -> Vec<String> {
    let mut out = String::new();
    let mut rest = page.split_once("</head>").unwrap().1;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        let drawing = rest[at..].starts_with("<svg");
        let end = if drawing { "</svg>" } else { ">" };
        let next = at + rest[at..].find(end).unwrap() + end.len();
        // A `<wbr>` is inside of a word.
        out.push_str(if rest[at..].starts_with("<wbr>") { "" } else { " " });
        rest = &rest[next..];
    }
    for (entity, c) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")] {
        out = out.replace(entity, c);
    }
    out.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn paper_says_what_the_page_says() {
    for (name, pack) in [("package", Pack::collected()), ("complete", Pack::complete())] {
        let path = pdf(&pack, name, &[]);
        let page = std::fs::read_to_string(pack.path("out/report.html")).unwrap();
        let figures: Vec<String> =
            shown(&page).into_iter().filter(|w| w.contains(|c: char| c.is_ascii_digit())).collect();
        assert!(figures.len() > 400, "{}", figures.len());
        let Some(said) = words(&path) else { return };
        let absent: Vec<&String> = figures.iter().filter(|f| !said.contains(f.as_str())).collect();
        assert!(absent.is_empty(), "{name}: {absent:?}");
        // Every line of the code, with its number; long ones are continued behind a sign.
        let said = said.replace('↪', "");
        for (file, bytes) in relative(&pack.path("out/code_samples")) {
            for (i, line) in text(&bytes).lines().enumerate() {
                let line: String = line.chars().filter(|c| !c.is_whitespace()).collect();
                assert!(said.contains(&format!("{}{line}", i + 1)), "{file}: {line}");
            }
        }
        let about = tool("pdfinfo", &[], &path).unwrap();
        for expected in ["Title:           Evidence: ", "Tagged:          yes", "Creator:         promproof ", "A4"] {
            assert!(about.contains(expected), "{expected}: {about}");
        }
        let summary = read(&pack.path("out/evidence/EVIDENCE_SUMMARY.json"));
        let year = &summary["collection_timestamp"].as_str().unwrap()[..4];
        let created = about.lines().find(|l| l.starts_with("CreationDate:")).unwrap();
        assert!(created.contains(year), "{created}");
        // It is among the sums, the README names it, and its own copies make it again.
        let sums = std::fs::read_to_string(pack.path("out/SHA256SUMS")).unwrap();
        assert!(sums.contains("  report.pdf\n"));
        let readme = std::fs::read_to_string(pack.path("out/README.md")).unwrap();
        assert!(readme.contains("- `report.pdf`: ") && readme.contains(" --code code_samples --pdf --output ../again"));
        let again = "package --evidence evidence --docs docs --code code_samples --pdf --output ../again --force";
        run_in(&pack.path("out"), &again.split(' ').collect::<Vec<_>>());
        assert!(relative(&pack.path("out")) == relative(&pack.path("again")), "{name}");
    }
}

#[test]
fn paper_is_the_same_everywhere() {
    let pack = Pack::collected();
    let run = |environment: [(&str, &str); 3]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_promproof"));
        command.args(["package", "--evidence", "evidence", "--output", "out", "--force", "--pdf"]).args(DOCS_AND_CODE);
        let output = command.env_clear().envs(environment).current_dir(pack.0.dir.path()).output().unwrap();
        assert_eq!(status(&output), 3, "{}", text(&output.stderr));
        std::fs::read(pack.path("out/report.pdf")).unwrap()
    };
    let one = run([("RAYON_NUM_THREADS", "1"), ("TZ", "UTC"), ("LANG", "C")]);
    let many = run([("RAYON_NUM_THREADS", "7"), ("TZ", "Asia/Tokyo"), ("LANG", "ar_EG.UTF-8")]);
    assert!(one == many);
    // A package without it takes the place of one with it.
    let (code, _) = pack.package(&[]);
    assert!(code == 3 && !pack.path("out/report.pdf").exists());
}

#[test]
fn hostile_texts_stay_texts_on_paper() {
    let pack = Pack::collected();
    let bad = [
        "#read(\"/etc/passwd\") $x$ *b* _e_ `r` ] } ) \" \\ #panic() <label> @ref // /* = h\n- i",
        "\u{1b}[31m\u{202e}\u{2066}\u{feff}\u{0}\u{7f}\u{85}\u{fffe}\u{ffff}\u{10ffff}\u{e000}\u{300}\u{301}",
        "\"/></svg><script>alert(1)</script><image href='file:///etc/passwd'/>&lol;&#0;<![CDATA[ ]]> <!--",
        "\u{05d0}\u{05d1} \u{0627}\u{0644} \u{6a21}\u{578b} \u{1f680} \u{1f1e9}\u{1f1ea} e\u{301} \u{200d}\u{fb01} \u{ad}",
    ];
    let long = "x".repeat(30_000);
    let code = pack.path("code/service/app.py");
    let whole = relative(&pack.path("evidence"));
    for (n, bad) in bad.into_iter().chain([long.as_str()]).enumerate() {
        for file in DOCUMENTS {
            let path = pack.path("evidence").join(file);
            let mut document: Value = serde_json::from_slice(&whole[file]).unwrap();
            let kept = ["schema", "files"].map(|key| (key, document[key].clone()));
            poison(&mut document, bad);
            for (key, value) in kept.into_iter().filter(|(_, value)| !value.is_null()) {
                document[key] = value;
            }
            for file in document["files"].as_array_mut().into_iter().flatten() {
                file["command"] = bad.into();
            }
            std::fs::write(&path, document.to_string()).unwrap();
        }
        pack.reseal();
        let log = pack.path("evidence/logs/api_logs_sample.txt");
        std::fs::write(log, bad).unwrap();
        let lines = format!("{bad}\n```\n#let x = [\n\tdef f(:\n{}", bad.repeat(3));
        std::fs::write(&code, lines).unwrap();
        let path = pdf(&pack, &format!("hostile-{n}"), &[]);
        let Some(said) = words(&path) else { continue };
        assert!(!said.contains("root:x:0:0"));
        // Around Hebrew the tool itself says from where to where it runs to the left.
        let said = if n == 3 { said.replace(['\u{202b}', '\u{202c}'], "") } else { said };
        assert!(!said.contains(|c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)));
        let expected = match n {
            0 => "#read(\"/etc/passwd\")$x$*b*_e_`r`]})\"\\#panic()<label>@ref///*=h\\n-i",
            1 => "\\u001b[31m\\u202e\\u2066\\ufeff\\u0000\\u007f\\u0085\\u{fffe}\\u{ffff}\\u{10ffff}\\u{e000}",
            2 => "\"/></svg><script>alert(1)</script><imagehref='file:///etc/passwd'/>&lol;&#0;<![CDATA[]]><!--",
            3 => "\\u{6a21}\\u{578b}\\u{1f680}\\u{1f1e9}\\u{1f1ea}",
            _ => &format!("{}…", "x".repeat(5_000)),
        };
        assert!(said.contains(expected), "{n}: {said}");
    }
}

#[test]
fn code_of_every_kind() {
    let pack = Pack::collected();
    let policy = text(&run_in(pack.0.dir.path(), &["package", "--print-policy"]).stdout);
    std::fs::write(pack.path("policy.toml"), policy.replacen("\"service/app.py\"", "\"**/*\"", 1)).unwrap();
    let all: Vec<u8> = (0..=255).filter(|b| *b != 0).collect();
    let deep = "(".repeat(5_000);
    for (name, bytes) in [
        ("empty.py", &b""[..]),
        ("ends", b"\n\n\n"),
        ("bytes.txt", &all),
        ("binary.so", b"\x7fELF\x00\x01"),
        ("broken.json", b"{\"a\": [1, 2"),
        ("deep.rs", deep.as_bytes()),
        ("tabs.go", b"package x\n\n\tfunc f() {\r\n\t\treturn \"\xff\"\r\n\t}\r\n"),
        ("odd.#read(\"x\")", b"#read(\"/etc/passwd\")\n"),
        ("many.txt", "# one line\n".repeat(30_000).as_bytes()),
    ] {
        std::fs::write(pack.path("code").join(name), bytes).unwrap();
    }
    let path = pdf(&pack, "code", &["--policy", "policy.toml"]);
    let Some(said) = words(&path) else { return };
    for expected in
        ["4return\"\\xff\"", "#read(\"/etc/passwd\")", "Itisnotext,andnotlisted.", "Therestisinthefile.", "\\u0001"]
    {
        assert!(said.contains(expected), "{expected}");
    }
    assert!(said.contains("1000#oneline") && !said.contains("1001#oneline"));
}

#[test]
fn paper_of_odd_data() {
    // Nothing of the recommender; documents that are gone or of other shapes.
    let case = Case::bare("encodings/xor-block");
    case.collect();
    let mut pack = Pack(case);
    for folder in ["docs", "code"] {
        std::fs::create_dir_all(pack.path(folder)).unwrap();
    }
    pdf(&pack, "empty", &[]);
    for shape in ["{}", "[]", "null", "5"] {
        for file in &DOCUMENTS[1..] {
            std::fs::write(pack.path("evidence").join(file), shape).unwrap();
        }
        let bare = json!({"schema": "promproof.evidence/1", "windows": [1, {}], "files": shape});
        std::fs::write(pack.path("evidence/EVIDENCE_SUMMARY.json"), bare.to_string()).unwrap();
        pdf(&pack, "shapes", &[]);
    }
    std::fs::remove_dir_all(pack.path("evidence")).unwrap();
    std::fs::create_dir(pack.path("evidence")).unwrap();
    std::fs::write(pack.path("evidence/EVIDENCE_SUMMARY.json"), "{\"schema\": \"promproof.evidence/1\"}").unwrap();
    pdf(&pack, "bare", &[]);
    // A hundred replicas.
    let mut case = Case::full();
    let made = p(&case.path("made"));
    let synth = "--days 9 --interval 5m --series 2000 --replicas 100 --quiet";
    let synth = ["synth", "-o", &made].into_iter().chain(synth.split(' ')).collect::<Vec<_>>();
    assert_eq!(status(&run_in(case.dir.path(), &synth)), 0);
    case.arguments[1] = format!("{made}/snapshot");
    case.collect();
    pack = Pack(case);
    let path = pdf(&pack, "hundred", &[]);
    let Some(said) = words(&path) else { return };
    assert!(said.contains("api-99:8080") && said.contains("moreintimeline.json."));
}
