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
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

const (
	keyBegins = "-----BEGIN PRIVATE KEY-----"
	keyEnds   = "-----END PRIVATE KEY-----"
)

// sentences are of a log, and have nothing that could be of a key.
var sentences = []string{
	"Reconciled the Service in 12 ms", "pulled sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef now", "I1122 06:47:08.123456       1 main.go:12] 3 nodes are ready",
	`{"level":"info","msg":"all is well","port":80}`, "GET /apis/admissionregistration/v1/validatingwebhookconfigurations 200", "no key was found: open /etc/tls/tls.key", "  -> switchyard why shop/web",
}

// Of a beginning without an end, nothing goes that is no key's.
func TestAKeyThatDoesNotEndKeepsNoLogBack(t *testing.T) {
	rest := strings.Join(sentences, "\n")
	for name, tc := range map[string]struct{ text, want string }{
		"one that is only told of":     {"the file has no " + keyBegins + " in it\n" + rest, "the file has no " + keyGone + " in it\n" + rest},
		"one in quotes":                {`want "` + keyBegins + `", got none` + "\n" + rest, `want "` + keyGone + `", got none` + "\n" + rest},
		"an end that is only told of":  {rest + "\nwant an " + keyEnds + " there\n" + rest, rest + "\nwant an " + keyGone + " there\n" + rest},
		"a string of no key":           {`log {"a":"` + keyBegins + `","b":"c"}` + "\n" + rest, `log {"a":"` + keyGone + `","b":"c"}` + "\n" + rest},
		"a key of which the end lacks": {keyBegins + "\n" + keyBody + "\n" + rest, keyGone + strings.Repeat("\n"+keyGone, 3) + "\n" + rest},
		"several":                      {keyBegins + "\n" + rest + "\n" + keyBegins + "\nEg==\n" + keyEnds + "\n" + rest, keyGone + "\n" + rest + "\n" + keyGone + "\n" + rest},
	} {
		t.Run(name, func(t *testing.T) {
			for _, stamps := range []func(string) string{strings.Clone, stamped} {
				// Whole keys take the times of their lines with them.
				if name == "several" && stamps("a\nb") != "a\nb" {
					continue
				}
				if got := Redact(stamps(tc.text)); got != stamps(tc.want) {
					t.Errorf("%q became\n%q, want\n%q", stamps(tc.text), got, stamps(tc.want))
				}
			}
		})
	}
}

// aKey has lines of a width, the last of which is shorter.
func aKey(random *rand.Rand) (lines []string) {
	der := make([]byte, 33+random.IntN(1200))
	for i := range der {
		der[i] = byte(random.Uint32())
	}
	body := base64.StdEncoding.EncodeToString(der)
	width := []int{64, 70, 76, 48}[random.IntN(4)]
	for ; len(body) > width; body = body[width:] {
		lines = append(lines, body[:width])
	}
	return append(lines, body)
}

// Ways in which a line of a log may have a line of a key.
var keyPrefixes = []func(i int) string{
	func(int) string { return "" },
	func(int) string { return "    " },
	func(int) string { return "\t| " },
	func(i int) string { return fmt.Sprintf("2026-11-22T06:47:%02d.12345678%dZ ", i%60, i%10) },
	func(i int) string { return fmt.Sprintf("2026-11-22T06:47:%02dZ       ", i%60) },
	func(i int) string {
		return fmt.Sprintf("2026-11-22T06:47:%02d.12345678%dZ I1122 06:47:%02d.%06d       1 tls.go:%d] ", i%60, i%10, i%60, i, 12)
	},
	func(i int) string { return fmt.Sprintf("Nov 22 06:47:%02d node-1 agent[%d]: ", i%60, 4711) },
	func(i int) string { return fmt.Sprintf(`{"ts":%d.25,"msg":"`, 1795330000+i) },
}

// Whatever stands around the lines of a key, and whichever of its edges are there,
// none of them comes through; what is said before and behind it does.
func TestNoLineOfAKeyIsLeft(t *testing.T) {
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // The same texts each time.
		lines := aKey(random)
		chosen := random.IntN(len(keyPrefixes))
		ends := ""
		if chosen == len(keyPrefixes)-1 {
			ends = `","level":"info"}`
		}
		all := withEdges(random, lines)
		said := func() string { return sentences[random.IntN(len(sentences))] }
		before, behind := said(), said()
		text := before + "\n"
		for i, line := range all {
			text += keyPrefixes[chosen](i) + line + ends + "\n"
			if random.IntN(10) == 0 { // somebody else writes to the same log
				text += said() + "\n"
			}
		}
		text += behind + "\n"
		stays := []string{before, behind}
		switch escaped := random.IntN(6); {
		case ends != "": // it is in JSON line by line
		case escaped == 0: // in one line, a text in JSON in a log
			quoted, _ := json.Marshal(text)
			text, stays = "12:30 INFO got "+string(quoted)+" of it\n"+said()+"\n", nil
		case escaped == 1: // in a text within a text, which is no JSON as a whole
			quoted, _ := json.Marshal(text)
			quoted, _ = json.Marshal(string(quoted))
			text, stays = "12:30 INFO got "+string(quoted)+"; "+behind+"\n", []string{behind}
		case escaped == 2:
			text = strings.ReplaceAll(text, "\n", "\r\n")
		case escaped == 3:
			text = strings.ReplaceAll(text, "/", `\/`)
			stays = nil
		}
		got := Redact(text)
		if part := leftOf(lines, text, got); part != "" {
			t.Fatalf("seed %d: %q is left of\n%s\nin\n%s", seed, part, text, got)
		}
		for _, stay := range stays {
			if !strings.Contains(got, stay) {
				t.Fatalf("seed %d: %q is lost of\n%s\nin\n%s", seed, stay, text, got)
			}
		}
		if again := Redact(got); again != got {
			t.Fatalf("seed %d: a second time makes\n%s\nof\n%s", seed, again, got)
		}
	}
}

// withEdges are the lines between the first and the last one of a key, of which one may
// be away.
func withEdges(random *rand.Rand, lines []string) []string {
	first, last := random.IntN(3) > 0, random.IntN(3) > 0
	all := slices.Clone(lines)
	if first || !last {
		all = slices.Insert(all, 0, keyBegins)
	}
	if last {
		all = append(all, keyEnds)
	}
	return all
}

// leftOf is the beginning of a line that a text has, and what became of it as well.
func leftOf(lines []string, text, got string) string {
	for _, line := range lines {
		for _, form := range []string{line, strings.ReplaceAll(line, "/", `\/`)} {
			if part := form[:min(len(form), 12)]; len(part) > 3 && strings.Contains(text, part) && strings.Contains(got, part) {
				return part
			}
		}
	}
	return ""
}

// One line can have all of it, with something else for the breaks.
func TestNoWordOfAKeyIsLeft(t *testing.T) {
	for _, between := range []string{" ", `", "`} {
		text := "got " + keyBegins + between + strings.ReplaceAll(keyBody, "\n", between) + " of it\nlast line"
		if got, want := Redact(text), "got "+keyGone+strings.Repeat(between+keyGone, 3)+" of it\nlast line"; got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
