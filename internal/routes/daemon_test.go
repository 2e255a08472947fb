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

package routes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bird is a birdDaemon whose birdc does what text says.
func bird(t *testing.T, text string) *birdDaemon {
	t.Helper()
	return &birdDaemon{file: file(filepath.Join(t.TempDir(), "bird.conf")), command: script(t, text), limit: patience}
}

// takes answers like a BIRD that has one route of IPv4.
const takes = `case "$*" in
*configure) echo "0003 Reconfigured" ;;
*switchyard_ipv4*) echo "1007-1 of 1 routes for 1 networks in table switchyard4" ;;
*) echo "1007-0 of 0 routes for 0 networks in table switchyard6" ;;
esac
`

func TestASnippetThatBIRDRefusesIsTakenBack(t *testing.T) {
	d := bird(t, takes)
	before := prefixes("192.0.2.1/32")
	if changed, err := d.apply(t.Context(), before); !changed || err != nil {
		t.Fatalf("changed %v, %v", changed, err)
	}
	if changed, err := d.apply(t.Context(), before); changed || err != nil {
		t.Errorf("the second time: changed %v, %v", changed, err)
	}
	d.command = script(t, `echo "0002-Reading configuration"; echo "8002 bird.conf:5:1 syntax error"; exit 1`)
	_, err := d.apply(t.Context(), prefixes("192.0.2.2/32"))
	if err == nil || err.Error() != "BIRD does not take its configuration: bird.conf:5:1 syntax error" {
		t.Errorf("said %v", err)
	}
	if text, err := d.file.read(); text != birdSnippet(before) || err != nil {
		t.Errorf("BIRD could not start again with %q, %v", text, err)
	}
}

// A BIRD that is away reads the file when it starts.
func TestABIRDThatIsAwayFindsTheFile(t *testing.T) {
	d := bird(t, `echo "Unable to connect to server control socket" >&2; exit 1`)
	want := prefixes("192.0.2.1/32")
	if _, err := d.apply(t.Context(), want); err == nil || !strings.Contains(err.Error(), "Unable to connect to server control socket") {
		t.Errorf("said %v", err)
	}
	if text, err := d.file.read(); text != birdSnippet(want) || err != nil {
		t.Errorf("the file has %q, %v", text, err)
	}
	d.command = script(t, takes)
	if changed, err := d.apply(t.Context(), want); !changed || err != nil {
		t.Errorf("back: changed %v, %v", changed, err)
	}
}

func TestBIRDIsAskedWhatItHas(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"another number":  {`echo "0003 Reconfigured"; echo "1007-7 of 7 routes for 7 networks in table switchyard4"`, "BIRD has 7 routes of switchyard_ipv4 in place of 1"},
		"no include":      {`case "$*" in *configure) echo "0003 Reconfigured" ;; *) echo "9001 syntax error"; exit 1 ;; esac`, "BIRD knows no protocol switchyard_ipv4: its configuration has to include"},
		"another program": {`echo hello`, `no reply of BIRD: it said "hello"`},
		"no count":        {`echo "0003 Reconfigured"`, "it does not count routes"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := bird(t, tc.text).apply(t.Context(), prefixes("192.0.2.1/32")); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("said %v\nwant %s", err, tc.want)
			}
		})
	}
}

// An agent that died may have written a file of which BIRD knows nothing.
func TestANewProcessTellsBIRDOnce(t *testing.T) {
	d := bird(t, takes)
	want := prefixes("192.0.2.1/32")
	if _, err := d.apply(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	d.loaded = ""
	if changed, err := d.apply(t.Context(), want); !changed || err != nil {
		t.Errorf("changed %v, %v", changed, err)
	}
}

func TestADaemonThatHangsIsGivenUp(t *testing.T) {
	const hangs = "exec sleep 1000"
	want := prefixes("192.0.2.1/32")
	b := bird(t, hangs)
	b.limit = 100 * time.Millisecond
	if _, err := b.apply(t.Context(), want); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("BIRD: %v", err)
	}
	f := &frrDaemon{file: b.file, command: script(t, hangs), limit: b.limit}
	if _, err := f.apply(t.Context(), want); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("FRR: %v", err)
	}
}

func TestNeitherDaemonReplacesAForeignFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "theirs.conf")
	const theirs = "router bgp 1\n"
	if err := os.WriteFile(path, []byte(theirs), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]daemon{
		BIRD: &birdDaemon{file: file(path), command: script(t, takes), limit: patience},
		FRR:  &frrDaemon{file: file(path), command: script(t, "echo router bgp 65001"), limit: patience},
	} {
		if _, err := d.apply(t.Context(), prefixes("192.0.2.1/32")); !errors.Is(err, ErrForeignFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text, err := os.ReadFile(path); string(text) != theirs || err != nil {
		t.Errorf("the file has %q, %v", text, err)
	}
}

func TestWhatFRRLacksIsNamed(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"no BGP":         {"echo '!'", errNoBGP.Error()},
		"deaf":           {`case "$*" in *show*) echo router bgp 65001 ;; esac`, "1 networks are missing and 0 too many"},
		"bgpd is away":   {`echo "Exiting: failed to connect to any daemons." >&2; exit 1`, "failed to connect to any daemons"},
		"with a refusal": {`case "$*" in *show*) echo router bgp 65001 ;; *) echo "% Unknown command"; exit 2 ;; esac`, `exit status 2: it said "% Unknown command"`},
		"checked routes": {`case "$*" in
*json) echo '{"paths":[{"valid":false,"local":true}]}' ;;
*) printf 'router bgp 65001\n network 192.0.2.1/32 route-map SWITCHYARD\nroute-map SWITCHYARD permit 65535\n' ;;
esac`, errNoImport.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			d := &frrDaemon{file: file(filepath.Join(t.TempDir(), "frr.conf")), command: script(t, tc.text), limit: patience}
			if _, err := d.apply(t.Context(), prefixes("192.0.2.1/32")); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("said %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestOptionsThatCanNotBeUsedAreNamed(t *testing.T) {
	for want, o := range map[string]Options{
		"--routes-daemon=quagga does not exist: use bird or frr":                                                    {Daemon: "quagga"},
		"--routes-file=x.conf is not the absolute path of a file: give one, as in /run/switchyard-routes/bird.conf": {Daemon: BIRD, File: "x.conf"},
		"--routes-file=/run/ is not the absolute path of a file: give one, as in /run/switchyard-routes/frr.conf":   {Daemon: FRR, File: "/run/"},
		"--routes-command is blank: give the program that talks to the daemon or leave it out":                      {Daemon: FRR, Command: " "},
	} {
		if err := o.Validate(); err == nil || err.Error() != want {
			t.Errorf("said %v\nwant %s", err, want)
		}
	}
	if err := (Options{Daemon: BIRD, File: "/run/x.conf", Command: "ip netns exec a birdc"}).Validate(); err != nil {
		t.Error(err)
	}
}
