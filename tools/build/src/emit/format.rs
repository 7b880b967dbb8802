//! Lays code out as `rustfmt` does, for the few shapes that generated code has: calls, macros with parentheses, struct
//! literals, arrays and tuples, nested in each other, with plain text between. A test holds it against `rustfmt` itself.

/// Columns of a line.
const WIDTH: usize = 100;
/// Most columns of arguments that stay in one line.
const ARGUMENTS: usize = 60;
/// Most columns of the fields of a struct literal that stays in one line.
const FIELDS: usize = 18;
/// Longest element of an array whose lines are filled.
const SHORT: usize = 10;

/// An expression: text, then perhaps a bracket with elements, then perhaps more of that.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expr(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Group { open: char, items: Vec<Expr> },
}

/// `statement` with its expression after it and a semicolon, laid out at `indent` blanks: `static X: T =`, or nothing.
pub(super) fn statement(before: &str, expression: &str, indent: usize) -> String {
    let expr = parse(expression);
    let blanks = " ".repeat(indent);
    let lead = if before.is_empty() { blanks.clone() } else { format!("{blanks}{before} ") };
    if let Some(line) = expr.one_line() {
        if lead.len() + line.len() < WIDTH {
            return format!("{lead}{line};\n");
        }
        if !before.is_empty() && indent + 4 + line.len() < WIDTH {
            return format!("{}\n{blanks}    {line};\n", lead.trim_end());
        }
    }
    format!("{lead}{};\n", expr.broken(indent, false))
}

fn parse(text: &str) -> Expr {
    let mut chars = text.chars().peekable();
    parse_until(&mut chars, None).pop().unwrap_or(Expr(Vec::new()))
}

/// Reads elements until a bracket closes; those of the outermost level are one.
fn parse_until(chars: &mut core::iter::Peekable<core::str::Chars<'_>>, close: Option<char>) -> Vec<Expr> {
    let mut items = Vec::new();
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut in_string = false;
    let end_text = |text: &mut String, parts: &mut Vec<Part>| {
        if !text.is_empty() {
            parts.push(Part::Text(core::mem::take(text)));
        }
    };
    while let Some(c) = chars.next() {
        if c == '"' {
            in_string = !in_string;
        }
        match c {
            _ if in_string => text.push(c),
            '(' | '[' | '{' => {
                end_text(&mut text, &mut parts);
                let closing = match c {
                    '(' => ')',
                    '[' => ']',
                    _ => '}',
                };
                parts.push(Part::Group { open: c, items: parse_until(chars, Some(closing)) });
            }
            ',' if close.is_some() => {
                end_text(&mut text, &mut parts);
                items.push(Expr(core::mem::take(&mut parts)));
            }
            _ if Some(c) == close => break,
            ' ' if text.is_empty() && parts.is_empty() => {}
            _ => text.push(c),
        }
    }
    let trimmed = text.trim_end();
    if !trimmed.is_empty() {
        parts.push(Part::Text(trimmed.to_owned()));
    }
    if !parts.is_empty() {
        items.push(Expr(parts));
    }
    items
}

impl Expr {
    /// In one line, if it may be.
    fn one_line(&self) -> Option<String> {
        let mut line = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => line += text,
                Part::Group { open, items } => {
                    let inside = items.iter().map(Self::one_line).collect::<Option<Vec<_>>>()?.join(", ");
                    let (most, pad) = if *open == '{' { (FIELDS, " ") } else { (ARGUMENTS, "") };
                    if inside.len() > most {
                        return None;
                    }
                    let pad = if inside.is_empty() { "" } else { pad };
                    line += &format!("{open}{pad}{inside}{pad}{}", closing(*open));
                }
            }
        }
        Some(line)
    }

    /// Over several lines, the first of which continues one that is there.
    fn broken(&self, indent: usize, in_macro: bool) -> String {
        let last = self.0.iter().rposition(|part| matches!(part, Part::Group { .. }));
        let mut text = String::new();
        for (i, part) in self.0.iter().enumerate() {
            match part {
                Part::Text(part) => text += part,
                Part::Group { open, items } if Some(i) == last => {
                    let in_macro = in_macro || text.ends_with('!');
                    text.push(*open);
                    text += &broken_items(*open, items, indent, in_macro);
                    text.push(closing(*open));
                }
                Part::Group { .. } => text += &Self(vec![part.clone()]).one_line().unwrap_or_default(),
            }
        }
        text
    }

    /// Whether it ends in a bracket, which its own bracket can share lines with.
    fn can_overflow(&self) -> bool {
        matches!(self.0.last(), Some(Part::Group { items, .. }) if !items.is_empty())
    }

    /// In one line if it fits behind `column` with `after` columns to come, else broken.
    fn fitted(&self, indent: usize, before: usize, in_macro: bool) -> String {
        match self.one_line() {
            Some(line) if indent + before + line.len() < WIDTH => line,
            _ => self.broken(indent, in_macro),
        }
    }
}

fn broken_items(open: char, items: &[Expr], indent: usize, in_macro: bool) -> String {
    if let ([item], true) = (items, open != '{')
        && item.can_overflow()
    {
        return item.broken(indent, in_macro);
    }
    let (inner, outer) = (" ".repeat(indent + 4), " ".repeat(indent));
    let comma = if in_macro { "" } else { "," };
    let lines: Option<Vec<String>> = items.iter().map(Expr::one_line).collect();
    if let (Some(lines), '[') = (lines, open)
        && lines.iter().all(|line| line.len() <= SHORT)
    {
        return filled(&lines, &inner, comma, WIDTH - 1) + &outer;
    }
    let items: Vec<String> = items.iter().map(|item| inner.clone() + &item.fitted(indent + 4, 0, in_macro)).collect();
    format!("\n{}{comma}\n{outer}", items.join(",\n"))
}

/// Short elements, as many in a line as fit.
fn filled(items: &[String], indent: &str, comma: &str, width: usize) -> String {
    let mut text = String::from("\n");
    let mut line = indent.to_owned();
    for (i, item) in items.iter().enumerate() {
        let is_last = i + 1 == items.len();
        let item = format!("{item}{}", if is_last { comma } else { "," });
        if line.trim_start().is_empty() {
            line += &item;
        } else if line.len() + 1 + item.len() <= width {
            line += &format!(" {item}");
        } else {
            text += &format!("{line}\n");
            line = format!("{indent}{item}");
        }
    }
    text + &line + "\n"
}

const fn closing(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

/// A `use` of names of one module.
pub(super) fn import(module: &str, names: &[String]) -> String {
    if let [name] = names {
        return format!("use {module}::{name};\n");
    }
    let line = format!("use {module}::{{{}}};\n", names.join(", "));
    if line.len() <= WIDTH + 1 {
        return line;
    }
    format!("use {module}::{{{}}};\n", filled(names, "    ", ",", WIDTH - 1))
}

/// Orders names as `rustfmt` does: digits by their number, `_` before letters.
pub(super) fn version_order(a: &str, b: &str) -> core::cmp::Ordering {
    key(a).cmp(&key(b))
}

fn key(name: &str) -> Vec<(u64, u64)> {
    let mut key = Vec::new();
    let mut digits = String::new();
    for c in name.chars().chain(['\0']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            key.push((2, digits.parse().unwrap_or(u64::MAX)));
            digits.clear();
        }
        match c {
            '\0' => {}
            '_' => key.push((1, 0)),
            c => key.push((3, c.into())),
        }
    }
    key
}
