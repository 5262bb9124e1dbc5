/** The documents agree with the code: error codes, links, paths, names, fields and dependencies. All by text. */

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path) => readFileSync(join(root, path), "utf8");
const all = (text, pattern) => [...text.matchAll(pattern)].map(([, found]) => found);
const sorted = (items) => [...new Set(items)].sort();

/** Not ours, or made by a build. */
const FOREIGN = new Set(["node_modules", "target", "pkg", "dist", ".git", ".cache", "test-results"]);

/** The Markdown files below `folder`, by path from the root. */
function documents(folder = ".") {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return FOREIGN.has(entry.name) ? [] : documents(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}

/** A document without its code blocks, and the blocks as `[language, code]`. */
function split(text) {
  const blocks = [];
  const prose = text.replace(/^```(\w*)\n([\s\S]*?)^```$/gm, (_, language, code) => {
    blocks.push([language, code]);
    return "";
  });
  return { prose, blocks };
}

/** The anchors of the headings, as GitHub makes them. */
function anchors(text) {
  return all(split(text).prose, /^#+ (.+)$/gm)
    .map((heading) => heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-"));
}

/** The text between the braces of `interface name`, or of whatever else begins with `head`. */
function body(text, head) {
  const start = text.indexOf(head);
  assert.notEqual(start, -1, `${head} is nowhere`);
  return text.slice(start, text.indexOf("\n}", start));
}

/** The members of an exported interface, in its own lines (nested ones are indented deeper). */
const members = (file, name) => sorted(all(body(read(file), `export interface ${name} `), /^ {2}(?:readonly )?(\w+)[?]?[(:<]/gm));

test("every failure has a section in the catalogue, and every section a failure", () => {
  const core = all(read("src/agent/failure.rs"), /^ +[A-Z]\w+ "([a-z-]+)" [A-Z]\w+$/gm);
  const facade = ["const LOCAL = {", "const AUDIENCE = {"]
    .flatMap((head) => all(body(read("src/js/failure.ts"), head), /^ +"([a-z-]+)": \[/gm));
  const rules = all(body(read("src/js/xcap.ts"), "const FAILURES = {"), /^ +"([a-z-]+)": \[/gm);
  assert.ok(core.length > 15 && facade.length > 1 && rules.length > 5, "the codes are written in another way now: mend this test");
  const sections = all(read("docs/errors.md"), /^## `?([^`\n]+)`?$/gm);
  assert.deepEqual(sorted(sections), sorted([...core, ...facade, ...rules]));
  assert.equal(sections.length, new Set(sections).size, "a section stands twice");
  const [, typed] = /export type FailureCode =([^;]*);/.exec(read("src/js/types.ts"));
  assert.deepEqual(sorted(all(typed, /"([^"]+)"/g)), sorted(sections), "the type FailureCode");
});

test("each section of the catalogue says the four things", () => {
  const [, ...sections] = read("docs/errors.md").split(/^## /m);
  for (const section of sections) {
    for (const part of ["What happened.", "Likely causes.", "What to do.", "Retried?"]) {
      assert.ok(section.includes(`**${part}** `), `${section.split("\n")[0]}: no "${part}"`);
    }
  }
});

test("every relative link leads somewhere", () => {
  const files = documents();
  assert.ok(files.length >= 10, files.join(", "));
  let count = 0;
  for (const file of files) {
    const text = read(file);
    for (const target of all(split(text).prose, /\]\(([^()\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      count += 1;
      const [path, anchor] = target.split("#");
      const linked = path === "" ? file : join(dirname(file), path);
      assert.ok(existsSync(join(root, linked)), `${file}: ${target} is not there`);
      if (anchor !== undefined && linked.endsWith(".md")) {
        assert.ok(anchors(read(linked)).includes(anchor), `${file}: ${linked} has no heading #${anchor}`);
      }
    }
  }
  assert.ok(count > 30, `${count} links`);
});

test("every path that a document names is there", () => {
  let count = 0;
  for (const file of documents()) {
    for (const path of all(split(read(file)).prose, /`((?:src|tests|scripts|www|deploy|docs|benches)\/[\w./-]*)`/g)) {
      count += 1;
      assert.ok(existsSync(join(root, path)), `${file} names ${path}`);
    }
  }
  assert.ok(count > 40, `${count} paths`);
});

test("the map of ARCHITECTURE.md has every module", () => {
  const map = read("ARCHITECTURE.md");
  for (const entry of readdirSync(join(root, "src"), { withFileTypes: true })) {
    if (entry.name === "lib.rs") continue;
    const path = `src/${entry.name}${entry.isDirectory() ? "/" : ""}`;
    assert.ok(map.includes(`| \`${path}\` |`), `ARCHITECTURE.md has no row for ${path}`);
  }
});

test("every dependency has its reason in ARCHITECTURE.md", () => {
  const reasons = body(`${read("ARCHITECTURE.md")}\n}`, "## Dependencies").split("## Conformance")[0];
  const manifest = read("Cargo.toml").split(/^\[/m).filter((section) => /^[^\]\n]*dependencies\]/.test(section));
  const crates = manifest.flatMap((section) => all(section, /^([\w-]+) = /gm));
  const { dependencies, devDependencies } = JSON.parse(read("package.json"));
  const packages = [...Object.keys(dependencies), ...Object.keys(devDependencies)];
  assert.ok(crates.length > 8 && packages.length > 5);
  for (const name of [...crates, ...packages]) assert.ok(reasons.includes(`\`${name}\``), `no reason for ${name}`);
  const known = new Set([...crates, ...packages]);
  for (const row of all(reasons, /^\| ((?:`[^`]+`(?:, )?)+) \|/gm)) {
    for (const name of all(row, /`([^`]+)`/g)) assert.ok(known.has(name), `${name} is no dependency any more`);
  }
});

test("the code in README.md and docs/ uses only names that exist", () => {
  const { exports } = JSON.parse(read("package.json"));
  const sources = {
    "sip-presence": "index", "sip-presence/inline": "inline", "sip-presence/element": "element",
    "sip-presence/element/define": "define", "sip-presence/element/react": "define", "sip-presence/react": "react", "sip-presence/server": "server", "./lib/index.js": "index", "./lib/define.js": "define",
  };
  const shapes = {
    agent: new Set(members("src/js/types.ts", "Agent")),
    state: new Set(members("src/js/types.ts", "PresenceState")),
    server: new Set(members("src/js/server.ts", "PresenceServer")),
    detail: new Set(["Failure", "ConnectionInfo", "TraceMessage"].flatMap((name) => members("src/js/types.ts", name))),
    error: new Set(members("src/js/types.ts", "Failure")),
  };
  assert.ok(shapes.agent.has("watch") && shapes.agent.has("connection") && shapes.state.has("status"));
  let count = 0;
  for (const file of ["README.md", ...documents("docs")]) {
    for (const [language, code] of split(read(file)).blocks) {
      if (!["js", "jsx", "ts", "tsx", "html"].includes(language)) continue;
      for (const [, names, from] of code.matchAll(/import \{ ([^}]+) \} from "((?:sip-presence|\.\/lib)[^"]*)"/g)) {
        assert.ok(sources[from] !== undefined, `${file}: no entry ${from}`);
        if (!from.startsWith(".")) assert.ok(exports[from.replace("sip-presence", ".")] !== undefined, `${file}: no export ${from}`);
        const source = read(`src/js/${sources[from]}.ts`);
        for (const name of names.split(", ")) {
          assert.match(source, new RegExp(`export [^;]*\\b${name}\\b`), `${file}: ${from} does not export ${name}`);
        }
        count += 1;
      }
      for (const [what, object, member] of code.matchAll(/(?<![\w.])(agent|state|server|detail|error)\.(\w+)/g)) {
        assert.ok(shapes[object].has(member), `${file}: ${what} does not exist`);
        count += 1;
      }
    }
  }
  assert.ok(count > 40, `${count} names`);
});

test("every option and field is explained", () => {
  const explains = (document, names) => {
    const text = read(document);
    for (const name of names) {
      assert.ok(new RegExp(`\`${name}[\`(.]|\`[^\`\\n]*--${name}\\b`).test(text), `${document} does not explain ${name}`);
    }
  };
  for (const name of ["GeneralOptions", "WatchedOptions", "PresenceState", "PublishOptions"]) explains("docs/api.md", members("src/js/types.ts", name));
  for (const name of ["ServerOptions", "ServerConfig"]) explains("docs/server.md", members("src/js/server.ts", name));
  const config = read("src/server/config.rs");
  const limits = all(body(config, "pub struct Limits {"), /^ +pub (\w+):/gm);
  assert.ok(limits.length > 5);
  explains("docs/server.md", limits);
  const options = all(body(read("src/js/cli.ts"), "parseArgs({"), /^ {6}"?([\w-]+)"?: \{ type:/gm);
  assert.ok(options.includes("config") && options.includes("port"));
  explains("docs/server.md", options.filter((name) => name !== "help" && name !== "version"));
});

test("the defaults in docs/server.md are those of the code", () => {
  const text = read("docs/server.md");
  const config = read("src/server/config.rs");
  const value = (name) => {
    const [found] = all(config, new RegExp(`^ +${name}: ([\\d_ *]+),$`, "gm"));
    assert.notEqual(found, undefined, name);
    return found.replaceAll("_", "").split("*").reduce((product, factor) => product * Number(factor), 1);
  };
  const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
  const names = [
    "min_expires", "max_expires", "nonce_lifetime", "notify_interval",
    ...all(body(config, "pub struct Limits {"), /^ +pub (\w+):/gm),
  ];
  for (const name of names) {
    const [row] = all(text, new RegExp(`^(\\| \`${camel(name)}\` .*)$`, "gm"));
    const numbers = (row ?? "").split(" | ").map((cell) => cell.replace(/,|\s\|$/g, "").trim());
    assert.ok(numbers.includes(String(value(name))), `docs/server.md: the default of ${camel(name)} is ${value(name)}`);
  }
});

test("the activities in docs/status.md are those of the rule", () => {
  const rule = read("src/presence/status.rs");
  const [outOfOffice] = all(rule, /^const OUT_OF_OFFICE: &str = "([a-z -]+)";/gm);
  const text = read("docs/status.md");
  for (const [status, name] of [["Busy", "busy"], ["Away", "away"]]) {
    const named = all(rule, new RegExp(`^    \\(Status::${status}, "?([\\w -]+)"?\\),`, "gm")).join(" ");
    const words = named.replace("OUT_OF_OFFICE", outOfOffice).split(" ");
    const [row] = all(text, new RegExp(`^\\| \\d \\| \`${name}\` \\| activity ([^|;]+)`, "gm"));
    assert.deepEqual(sorted(all(row, /`([a-z-]+)`/g)), sorted(words), name);
  }
});
