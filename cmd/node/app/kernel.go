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
	"errors"
	"os"
	"strings"

	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/dataplane/agent"
	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
)

// kernel is what we hold of the kernel.
type kernel struct {
	families []model.Family
	tables   map[model.Family]agent.Table
	cleaner  *conntrack.Cleaner
	watcher  *nft.Watcher
	close    func()
}

// openKernel finds out whether the kernel and our privileges are enough.
func openKernel(ctx context.Context, o *Options) (kernel, error) {
	k := kernel{families: families(), tables: map[model.Family]agent.Table{}}
	log := ctrllog.FromContext(ctx)
	if len(k.families) == 1 {
		log.Info("This kernel has no IPv6, or it is switched off; only IPv4 is programmed")
	}
	var tables []*nft.Table
	for _, family := range k.families {
		table, err := nft.Open(family, nft.Options{Protect: o.Own.ProtectTable != protectOff})
		if err != nil {
			return k, err
		}
		if o.Own.ProtectTable == protectOn && !table.Protected() {
			return k, errors.New("--protect-table=on: this kernel can not protect a table, which takes Linux 6.9: use auto or off")
		}
		k.tables[family] = table
		tables = append(tables, table)
	}
	log.V(2).Info("Opened the tables", "protected", tables[0].Protected())
	var err error
	if k.watcher, err = nft.Watch(tables...); err != nil {
		return k, err
	}
	k.cleaner, err = conntrack.NewCleaner()
	k.close = func() {
		_ = k.cleaner.Close()
		_ = k.watcher.Close()
		for _, table := range tables {
			_ = table.Close()
		}
	}
	return k, err
}

// families are those of the kernel. Without IPv6 there is no such file; with
// IPv6 switched off nothing can have an address of it.
func families() []model.Family {
	_, missing := os.Stat("/proc/net/if_inet6")
	off, _ := os.ReadFile("/proc/sys/net/ipv6/conf/all/disable_ipv6")
	if missing != nil || strings.TrimSpace(string(off)) == "1" {
		return []model.Family{model.IPv4}
	}
	return []model.Family{model.IPv4, model.IPv6}
}
