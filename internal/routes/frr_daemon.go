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
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// frrDaemon tells FRR's bgpd. FRR includes no files, so bgpd's running
// configuration is read, and what differs is given to it as a file of commands,
// which touch nothing else. A bgpd that was started again has lost them; it is
// read regularly, and told again.
type frrDaemon struct {
	file    file
	command command
	limit   time.Duration
}

// Only bgpd is asked and told: vtysh calls it success when others of FRR's
// daemons are there and bgpd is not.
var onlyBGP = []string{"-d", "bgpd"}

var (
	errNoBGP     = errors.New("FRR has no `router bgp` in its default VRF: configure one with the neighbours that the routes are for")
	errNoImport  = errors.New("FRR announces a network only if it has a route to it: put `no bgp network import-check` below `router bgp`")
	errIncorrect = errors.New("bgpd has taken the commands and its configuration is not what they say")
)

func (d *frrDaemon) apply(ctx context.Context, want []netip.Prefix) (changed bool, err error) {
	state, err := d.state(ctx)
	if err != nil {
		return false, err
	}
	add, remove := frrChange(state, want)
	if len(add)+len(remove) == 0 && (state.Marked || len(want) == 0) {
		return false, d.verify(ctx, state, want)
	}
	if state.AS == "" {
		return false, errNoBGP
	}
	if _, err := d.file.read(); err != nil {
		return false, err
	}
	if err := d.file.write(frrSnippet(state.AS, add, remove)); err != nil {
		return false, err
	}
	if _, err := d.command.run(ctx, d.limit, append(onlyBGP, "-f", string(d.file))...); err != nil {
		return false, err
	}
	if state, err = d.state(ctx); err != nil {
		return false, err
	}
	if add, remove = frrChange(state, want); len(add)+len(remove) > 0 {
		return false, fmt.Errorf("%w: %d networks are missing and %d too many", errIncorrect, len(add), len(remove))
	}
	return true, d.verify(ctx, state, want)
}

func (d *frrDaemon) state(ctx context.Context) (frrState, error) {
	running, err := d.command.run(ctx, d.limit, append(onlyBGP, "-c", "show running-config")...)
	return readFRR(running), err
}

// verify looks at one network of each family where bgpd may want a route to it.
func (d *frrDaemon) verify(ctx context.Context, state frrState, want []netip.Prefix) error {
	if state.Unchecked {
		return nil
	}
	for i, family := range split(want) {
		if len(family) == 0 {
			continue
		}
		reply, err := d.command.run(ctx, d.limit, append(onlyBGP, "-c", fmt.Sprintf("show bgp ipv%d unicast %s json", 4+2*i, family[0]))...)
		if err != nil {
			return err
		}
		var network struct {
			Paths []struct{ Local, Valid bool }
		}
		if err := json.Unmarshal([]byte(reply), &network); err != nil {
			return fmt.Errorf("reading what FRR says of %s: %w%s", family[0], err, quoted(reply))
		}
		for _, path := range network.Paths {
			if path.Local && !path.Valid {
				return errNoImport
			}
		}
	}
	return nil
}
