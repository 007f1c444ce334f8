// Package local is a whole deployment on this machine, as many processes as in production: hub nodes, a leaf node for
// each region with gateways beside it, REST and persisters. It is for trying Canopy out (canopy local up), and for
// tests that take such a deployment apart.
//
//	people of eu                                     people of us
//	     │                                                │
//	front eu (in this process)                       front us
//	  │      └──────────── REST ────▶ api ◀──── REST ────┘      │
//	gateway-eu-1  gateway-eu-2         │  persist        gateway-us-1  gateway-us-2
//	  └───── leaf-eu ─────┘            │    │              └───── leaf-us ─────┘
//	            └── link (a proxy when asked) ──▶ hub-1 hub-2 hub-3 ◀── link ──┘
//
// A front stands for a region's load balancer: one address for REST and sockets, which leads to any gateway of the
// region that takes the connection.
//
// Every process is `canopy <role> --config FILE`, with a log, a data folder and a process group of its own. It can be
// killed, paused, stopped and started again by its Process. What is found in a folder goes on at the next start, at
// new addresses. Without a PostgreSQL and a Cassandra there is one api and one persister, which share SQLite files.
//
// It promises that no process outlives the Deployment: Close stops them in the order of their needs and says which did
// not stop, and where the system can do so they die with the process that started them, however that ends. It knows a
// role by its command line, its settings and its admin address alone.
package local
