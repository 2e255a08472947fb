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

package agent

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	// serverPatience is how long one attempt to reach the API server may take,
	// serverPause how long to wait after a failed one, and serverReminder how
	// often to repeat that the same thing is still wrong.
	serverPatience = 10 * time.Second
	serverPause    = time.Second
	serverReminder = 30 * time.Second
)

// awaitServer tries until the API server answers as it must for the agent to
// work, and says what it waits for; false means that ctx has ended. The
// watches would try for ever, too, but in silence and ever more slowly.
func (a *Agent) awaitServer(ctx context.Context) bool {
	log := log.FromContext(ctx)
	var said string
	var saidAt time.Time
	for {
		err := a.tryServer(ctx)
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			if said != "" {
				log.Info("The API server answers now")
			}
			return true
		}
		if err.Error() != said || time.Since(saidAt) > serverReminder {
			log.Info("Waiting for the API server; rules that are already in the kernel keep working",
				"tried", "listing Services", "reason", err.Error())
			said, saidAt = err.Error(), time.Now()
		}
		sleep(ctx, serverPause)
	}
}

func (a *Agent) tryServer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, serverPatience)
	defer cancel()
	_, err := a.Client.CoreV1().Services(metav1.NamespaceAll).List(ctx, metav1.ListOptions{Limit: 1})
	return err
}
