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

package app

import (
	"context"
	"fmt"
	"net/http"
	"time"

	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/dataplane/health"
)

// server is one of the addresses that the agent answers on.
type server struct {
	flag, address string
	handler       http.Handler
	// reason is that of the Event when the address can not be served,
	// kube-proxy's.
	reason string
	// again is how long to wait for an address that is in use.
	again time.Duration
}

// listenAgain is that wait, kube-proxy's.
const listenAgain = 5 * time.Second

// serve answers until ctx ends. It returns an error only if hardFail is set;
// otherwise it tries again, since the node's Services matter more.
func (s server) serve(ctx context.Context, hardFail bool, warnings nodeWarnings) error {
	if s.address == "" {
		return nil
	}
	log := ctrllog.FromContext(ctx).WithValues("flag", s.flag)
	said := ""
	for ctx.Err() == nil {
		err := s.once(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case hardFail:
			if eventErr := warnings.sayNow(ctx, s.reason, err.Error()); eventErr != nil {
				log.Info("Could not send an Event", "event", s.reason, "reason", eventErr.Error())
			}
			return err
		case err.Error() != said:
			said = err.Error()
			warnings.say(s.reason, said)
			log.Info("An address is not served, trying again every 5 s; Services are programmed all the same", "reason", said)
		}
		select {
		case <-ctx.Done():
		case <-time.After(s.again):
		}
	}
	return nil
}

func (s server) once(ctx context.Context) error {
	listener, err := health.Listen(s.flag, s.address)
	if err != nil {
		return err
	}
	if err := health.Serve(ctx, listener, s.handler); err != nil {
		return fmt.Errorf("--%s: %w", s.flag, err)
	}
	return nil
}
