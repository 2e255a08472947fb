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
	"fmt"
	"net/netip"
	"time"
)

// birdDaemon tells BIRD. Its snippet is included by BIRD's configuration, so that
// BIRD finds it when it starts by itself, too. `configure` reads the whole
// configuration again and compares: sessions whose definition is the same go on,
// and of a static protocol only the routes that differ are touched.
type birdDaemon struct {
	file    file
	command command
	limit   time.Duration
	// loaded is the text that BIRD was seen to have, empty if none was since this
	// process began.
	loaded string
}

func (d *birdDaemon) apply(ctx context.Context, want []netip.Prefix) (changed bool, err error) {
	had, err := d.file.read()
	if err != nil {
		return false, err
	}
	text := birdSnippet(want)
	if had == text && d.loaded == text {
		return false, nil
	}
	d.loaded = ""
	if had != text {
		if err := d.file.write(text); err != nil {
			return false, err
		}
	}
	if refused, err := d.configure(ctx); err != nil {
		if refused && had != text {
			// BIRD goes on as it is, but would not start with this.
			err = errors.Join(err, d.file.restore(had))
		}
		return false, err
	}
	if err := d.verify(ctx, want); err != nil {
		return false, err
	}
	d.loaded = text
	return true, nil
}

// configure has BIRD read its configuration; refused says that BIRD did and can
// not use it.
func (d *birdDaemon) configure(ctx context.Context) (refused bool, err error) {
	reply, err := d.command.run(ctx, d.limit, "-v", "configure")
	code, text, ok := birdOutcome(reply)
	switch {
	case ok && code >= birdRefused:
		return true, fmt.Errorf("BIRD does not take its configuration: %s", text)
	case err != nil:
		return false, err
	case !ok:
		return false, fmt.Errorf("running %q: no reply of BIRD%s", d.command[0], quoted(reply))
	}
	return false, nil
}

// verify asks how many of the routes BIRD has.
func (d *birdDaemon) verify(ctx context.Context, want []netip.Prefix) error {
	for i, family := range split(want) {
		reply, err := d.command.run(ctx, d.limit, "-v", "show", "route", "protocol", birdProtocols[i], "count")
		n, ok := birdCount(reply)
		if code, _, said := birdOutcome(reply); said && code >= birdRefused {
			return fmt.Errorf("BIRD knows no protocol %s: its configuration has to include %q", birdProtocols[i], d.file)
		}
		switch {
		case err != nil:
			return err
		case !ok:
			return fmt.Errorf("running %q: it does not count routes%s", d.command[0], quoted(reply))
		case n != len(family):
			return fmt.Errorf("BIRD has %d routes of %s in place of %d: it may not be done, or include another file than %q",
				n, birdProtocols[i], len(family), d.file)
		}
	}
	return nil
}
