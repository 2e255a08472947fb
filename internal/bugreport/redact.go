/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package bugreport

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
)

// gone is what is put in the place of a secret.
const gone = "[redacted]"

// A rule takes away one kind of secret.
type rule struct {
	pattern finder
	// put says what to put in the place of a match, by its groups.
	put func(groups []string) string
}

// Parts of patterns.
const (
	// secretName is a name that tells that its value is a secret.
	secretName = `[a-z0-9_.-]*(?:pass(?:word|wd|phrase|code)|pwd|secret|token|credential|x-amz-signature|` +
		`(?:api|access|private|signing|encryption|shared|auth|account|storage|session|client|tls|master|hmac|license|licence|ssh)[-_. ]?key)[a-z0-9_.-]*|` +
		`[a-z0-9_.-]*[_.-](?:pass|pw|psk)|[a-z0-9]*(?-i:[a-z]Pass|[a-z]Pw)|\b(?:pass|pw|psk|bindpw|sig)`
	// between is what is between a name and its value.
	between = `\\*["']?\s*(?:=>|[:=])\s*`
	// quoted is a value in quotes, which may be escaped as in a text within another.
	quoted = `\\+"(?s:.*?)\\+"|"(?:[^"\\]|\\.)*"|'[^']*'`
	// bracketed is a list or an object in a text that is no document.
	bracketed = `\[redacted\]|\[[^\]\r\n]*(?:\]|$)|\{[^}\r\n]*(?:\}|$)`
	// stamp is the time that the kubelet puts before each line of a log.
	stamp = `(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) )?`
	// newLine is between two lines of one value, which may be escaped.
	newLine = `(?:\s|\\+[nr])+` + stamp + `[ \t]*`
	header  = `(?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]*(?:token|key|auth)[a-z-]*`
)

// wholeRules are applied to a text as a whole, in this order: what is long before what
// may be a part of it.
var wholeRules = []rule{
	{located{regexp.MustCompile(`[A-Za-z0-9+/_-]{40,}={0,2}(?:` + newLine + `[A-Za-z0-9+/]{8,}={0,2})*`), firstLong}, encoded},
	{regexp.MustCompile(`eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,3}`), always("[redacted: token]")},
	{located{regexp.MustCompile(`\b[a-z0-9]{6}\.[a-z0-9]{16}\b`), firstBootstrap}, always(gone)}, // bootstrap tokens
}

// lineRules are applied to lines that have one of the words. Some look again into what
// they have found.
var lineRules []rule

func init() {
	lineRules = []rule{
		{regexp.MustCompile(`(?i)\b(` + header + `)(` + between + `)(` + quoted + `|\["\[redacted\]"\]|\[[^\]\r\n]*\]|[^\r\n]+)`), value},
		{regexp.MustCompile(`(?i)\b(bearer|basic|digest|negotiate)([ \t]+)([A-Za-z0-9._~+/=-]{6,})`), scheme},
		{guarded{regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)([^\s"'<>\\?#]+)(@)`), hasUser}, user},
		{regexp.MustCompile(`(?i)((?:^|\s)(?:-u|--user))([ \t=]+)([^\s:"']+:[^\s"']+)`), value},
		{regexp.MustCompile(`(?i)(\bauth)(` + between + `"?)([A-Za-z0-9+/]{6,}={0,2})`), credentials},
		{regexp.MustCompile(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bglpat-[A-Za-z0-9_-]{16,}|` +
			`\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bAIza[0-9A-Za-z_-]{30,}|\bsk-[A-Za-z0-9_-]{20,}|\bhvs\.[A-Za-z0-9_-]{16,}|\bnpm_[A-Za-z0-9]{20,}|` +
			`\b[rs]k_(?:live|test)_[A-Za-z0-9]{10,}|\bAGE-SECRET-KEY-1[0-9A-Za-z]+|\bhooks\.slack\.com/[^\s"'<>\\]+`), always(gone)},
		// An environment variable of a container.
		{regexp.MustCompile(`(?i)(\\*"name\\*"\s*:\s*\\*"(?:` + secretName + `))(\\*"\s*,\s*\\*"value\\*"\s*:\s*)(` + quoted + `)`), value},
		{
			guarded{regexp.MustCompile(`(?i)(name:\s*["']?(?:` + secretName + `|` + header + `))(["']?\s*\n` + stamp + `\s*value:[ \t]*)(` +
				quoted + `|[^\n]+)`), goesOn},
			value,
		},
		// A block of YAML, as deep as it goes.
		{guarded{regexp.MustCompile(`(?i)(` + secretName + `)(["']?:[ \t]*[|>][-+0-9]*[ \t]*)((?:\r?\n` + stamp + `[ \t]+[^\n]*)+)`), goesOn}, value},
		// A list or an object of YAML, below its name.
		{guarded{regexp.MustCompile(`(?i)(` + secretName + `)(["']?:)((?:[ \t]*\r?\n` + stamp + `(?:[ \t]+|[ \t]*-[ \t])[^\n]*)+)`), goesOn}, value},
		// A value in YAML goes on to the end of its line.
		{regexp.MustCompile(`(?im)(^` + stamp + `(?:[ \t]*-)?[ \t]*["']?(?:` + secretName + `))(["']?:[ \t]+)([^\s"'\\|>\[{][^\r\n]*)`), value},
		{regexp.MustCompile(`(?i)(` + secretName + `)(` + between + `)(` + quoted + `|` + bracketed + `|[^\s,;&"'}\]][^\s,;&"'}\]]*)`), value},
		// What follows a comma and has no name of its own belongs to what was before it.
		{regexp.MustCompile(`(` + regexp.QuoteMeta(gone) + `)()((?:[,;&][^\s,;&"'}\]:=\[]+)+)(\s|$)`), func(g []string) string { return g[1] + g[4] }},
		{guarded{regexp.MustCompile(`(?i)(["']--?(?:` + secretName + `)\\*["'])([ \t,]+)(` + quoted + `)`), hasQuotedFlag}, value},
		{regexp.MustCompile(`(?i)(--?(?:` + secretName + `))([ \t]+)(` + quoted + `|[^\s"'=\[-][^\s"']*)`), value},
		// As files of routing daemons, and of netrc, have it.
		{regexp.MustCompile(`(?i)(\b(?:password|passwd|passphrase))([ \t]+)(` + quoted + `|[^\s"'=:\[][^\s"']*)`), value},
	}
}

// words are in all that the rules of lines match, in lower case. Expressions are slow
// on megabytes of logs, and few lines have one of these.
var words = []string{
	"pass", "pwd", "pw", "psk", "sig", "auth", "-u", "hvs.", "npm_", "sk_", "rk_", "slack",
	"secret", "token", "credential", "key", "authorization", "cookie", "x-", "bearer", "basic", "digest", "negotiate", "://",
	"akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "aiza", "sk-",
}

// Redact takes out of a text what looks like a secret: private keys, tokens, the
// values of headers that hold credentials, passwords in URLs, and values whose names
// tell of a secret. It is a pure function. A document in JSON stays one.
func Redact(text string) string {
	if isDocument(text) {
		return redactDocument(text, plain)
	}
	text = withoutKeys(text)
	for _, r := range wholeRules {
		text = r.apply(text)
	}
	var out strings.Builder
	for text != "" {
		part := nextPart(text)
		text = text[len(part):]
		if hot(part) {
			part = redactPart(part)
		}
		out.WriteString(part)
	}
	return out.String()
}

// beforeValue is the end of what stands before a value that is a secret.
var beforeValue = regexp.MustCompile(`(?i)(?:` + secretName + `|` + header + `)` + between + `$`)

// redactPart redacts one line, or several that belong together. Lines of logs often
// end with a document.
func redactPart(part string) string {
	rest := ""
	if at := strings.IndexAny(part, "{["); at >= 0 && isDocument(part[at:]) {
		s := plain
		if hot(part[:at]) && beforeValue.MatchString(part[:at]) {
			s = secret
		}
		part, rest = part[:at], redactDocument(part[at:], s)
	}
	for _, r := range lineRules {
		part = r.apply(part)
	}
	return part + rest
}

// nextPart is the next line, and those that go on with a value that begins in it.
func nextPart(text string) string {
	end := lineEnd(text, 0)
	line := text[:end]
	if !hot(line) {
		return line
	}
	switch trimmed := strings.TrimRight(line, " \t\r\n0123456789+-"); {
	case strings.HasSuffix(trimmed, "|"), strings.HasSuffix(trimmed, ">"), strings.HasSuffix(trimmed, ":"):
		for end < len(text) && deeper.MatchString(text[end:]) {
			end = lineEnd(text, end)
		}
	case strings.Contains(line, "name:"):
		end = lineEnd(text, end)
	case strings.Count(line, `"`)%2 == 1 || strings.Count(line, "'")%2 == 1:
		for range mostLines {
			end = lineEnd(text, end)
		}
	}
	return text[:end]
}

// deeper is a line that belongs to a block of YAML, or is empty.
var deeper = regexp.MustCompile(`^` + stamp + `(?:[ \t\r\n]|- )`)

// mostLines is how long a value in quotes goes on at most.
const mostLines = 40

// lineEnd is where the line ends that begins there.
func lineEnd(text string, at int) int {
	if n := strings.IndexByte(text[at:], '\n'); n >= 0 {
		return at + n + 1
	}
	return len(text)
}

func (r rule) apply(text string) string {
	matches := r.pattern.FindAllStringSubmatchIndex(text, -1)
	if len(matches) == 0 {
		return text
	}
	var out strings.Builder
	at := 0
	for _, m := range matches {
		groups := make([]string, len(m)/2)
		for i := range groups {
			if m[2*i] >= 0 {
				groups[i] = text[m[2*i]:m[2*i+1]]
			}
		}
		out.WriteString(text[at:m[0]])
		out.WriteString(r.put(groups))
		at = m[1]
	}
	out.WriteString(text[at:])
	return out.String()
}

func always(put string) func([]string) string { return func([]string) string { return put } }

// value keeps the name, and the quotes, so that a document stays one.
func value(groups []string) string {
	held := groups[3]
	name := strings.TrimLeft(groups[1], `"'- `)
	switch {
	case slices.Contains([]string{"true", "false", "null", `""`, "''", gone, `["` + gone + `"]`}, held), strings.HasPrefix(strings.TrimSpace(held), gone):
		return groups[0]
	case harmlessName.MatchString(name), camelPass.MatchString(name) && strings.Trim(held, "0123456789.") == "":
		// What stands there may have a secret all the same, by a name of its own.
		if strings.HasSuffix(held, strings.TrimSuffix(gone, "]")) {
			return groups[0]
		}
		return groups[1] + groups[2] + Redact(held)
	}
	put := gone
	switch quote := held[len(held)-1]; {
	case quote == '"' && strings.HasPrefix(held, `\`):
		escapes := held[:strings.IndexByte(held, '"')]
		put = escapes + `"` + gone + escapes + `"`
	case (quote == '"' || quote == '\'') && len(held) > 1 && held[0] == quote:
		put = string(quote) + gone + string(quote)
	case strings.HasPrefix(strings.TrimLeft(held, " \t\r"), "\n"):
		put = " " + gone
	}
	return groups[1] + groups[2] + put
}

// user takes out the user and the password of a URL. Either may have characters in
// it that they should not, so that only the last @ can be believed.
func user(groups []string) string {
	authority, _, _ := strings.Cut(groups[2], "/")
	_, port, _ := strings.Cut(authority, ":")
	if len(authority) < len(groups[2]) && !strings.Contains(authority, "@") && strings.Trim(port, "0123456789") == "" {
		return groups[0] // a path with an @ in it
	}
	return groups[1] + gone + groups[3]
}

// credentials are a user and a password in base64.
func credentials(groups []string) string {
	text, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(groups[3], "="))
	if err != nil || !strings.Contains(string(text), ":") {
		return groups[0]
	}
	return groups[1] + groups[2] + gone
}

// padding is what is in base64 besides what it says.
var padding = regexp.MustCompile(newLine + `|=`)

// encoded looks into what may be base64: Secrets and kubeconfigs have keys so.
// Certificates stay.
func encoded(groups []string) string {
	text := padding.ReplaceAllString(groups[0], "")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		// Something that is not part of it may stand before it.
		for offset := range min(4, len(text)) {
			part := text[offset:]
			decoded := make([]byte, encoding.DecodedLen(len(part)))
			n, _ := encoding.Decode(decoded, []byte(part[:len(part)-len(part)%4]))
			if strings.Contains(string(decoded[:n]), "PRIVATE KEY") || offset == 0 && strings.HasPrefix(string(decoded[:n]), `eyJ`) {
				return "[redacted: encoded secret]"
			}
		}
	}
	return groups[0]
}

// scheme keeps prose, as in "basic authentication".
func scheme(groups []string) string {
	if strings.EqualFold(groups[1], "basic") {
		decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(groups[3], "="))
		if err != nil || !strings.Contains(string(decoded), ":") {
			return groups[0]
		}
	}
	return groups[1] + groups[2] + gone
}
