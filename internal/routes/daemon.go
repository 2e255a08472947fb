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
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"
)

// The daemons.
const (
	BIRD = "bird"
	FRR  = "frr"
)

// Options say which daemon announces, and how it is told.
type Options struct {
	// Daemon is BIRD or FRR.
	Daemon string
	// File is where the snippet goes, an absolute path that the daemon's command
	// finds under the same name; DefaultFile if it is empty.
	File string
	// Command is the program that talks to the daemon, with its first arguments
	// between blanks: birdc or vtysh if it is empty. No shell reads it.
	Command string
}

// DefaultFile is where the snippet of a daemon goes. It is gone after a boot, as
// the rules are that the routes lead to.
func DefaultFile(daemon string) string { return "/run/switchyard-routes/" + daemon + ".conf" }

// daemon is a program that announces.
type daemon interface {
	// apply brings the daemon to announce just these prefixes, which are Usable,
	// and says whether it had to be told anything.
	apply(ctx context.Context, want []netip.Prefix) (changed bool, err error)
}

// Validate says what of the options can not be used.
func (o Options) Validate() error {
	switch {
	case o.Daemon != BIRD && o.Daemon != FRR:
		return fmt.Errorf("--routes-daemon=%s does not exist: use %s or %s", o.Daemon, BIRD, FRR)
	case o.File != "" && (!filepath.IsAbs(o.File) || filepath.Clean(o.File) != o.File):
		return fmt.Errorf("--routes-file=%s is not the absolute path of a file: give one, as in %s", o.File, DefaultFile(o.Daemon))
	case o.Command != "" && strings.TrimSpace(o.Command) == "":
		return fmt.Errorf("--routes-command is blank: give the program that talks to the daemon or leave it out")
	}
	return nil
}

// open is the daemon of options that are valid.
func (o Options) open() daemon {
	path := file(o.File)
	if path == "" {
		path = file(DefaultFile(o.Daemon))
	}
	path.tidy(time.Now())
	command := command(strings.Fields(o.Command))
	if o.Daemon == FRR {
		if len(command) == 0 {
			command = []string{"vtysh"}
		}
		return &frrDaemon{file: path, command: command, limit: patience}
	}
	if len(command) == 0 {
		command = []string{"birdc"}
	}
	return &birdDaemon{file: path, command: command, limit: patience}
}
