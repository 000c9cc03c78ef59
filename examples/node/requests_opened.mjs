// A read view of Doorstep's log: how many requests each member opened. https://www.npmjs.com/package/@kurrent/kurrentdb-client
//
// node requests_opened.mjs 'esdb://any:TOKEN@127.0.0.1:2113?tlsCaFile=ca.pem'   prints it once it has caught up, and ends.
// A view that is kept stores its rows and the commit position together, and goes on with fromPosition.
import { KurrentDBClient, START, eventTypeFilter } from "@kurrent/kurrentdb-client";

const opened = {};
const client = KurrentDBClient.connectionString(process.argv[2]);
const filter = eventTypeFilter({ prefixes: ["request-opened"] });
const events = client.subscribeToAll({ fromPosition: START, filter });
events.on("caughtUp", () => events.unsubscribe());
for await (const { event } of events) {
  opened[event.data.from] = (opened[event.data.from] ?? 0) + 1;
}
console.log(JSON.stringify(Object.fromEntries(Object.entries(opened).sort())));
await client.dispose();
