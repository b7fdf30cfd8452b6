// GraphQL over fetch, and subscriptions over graphql-transport-ws that come back by themselves.

export async function ask(query, variables = {}) {
  const response = await fetch("graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ query, variables }),
  });
  const answer = await response.json();
  if (answer.errors) throw new Error(answer.errors[0].message);
  return answer.data;
}

// Calls onData for every event until the returned function is called.
export function follow(query, variables, onData, onState) {
  let socket, timer, closed = false, delay = 500;

  function open() {
    const url = new URL("graphql", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    socket = new WebSocket(url, "graphql-transport-ws");
    socket.onopen = () => socket.send(JSON.stringify({ type: "connection_init" }));
    socket.onmessage = (event) => receive(JSON.parse(event.data));
    socket.onclose = () => {
      if (closed) return;
      onState(false);
      timer = setTimeout(open, delay);
      delay = Math.min(delay * 2, 10000);
    };
  }

  function receive(message) {
    if (message.type === "connection_ack") {
      socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query, variables } }));
      delay = 500;
      onState(true);
    } else if (message.type === "next" && message.payload.data) {
      onData(message.payload.data);
    } else if (message.type === "ping") {
      socket.send(JSON.stringify({ type: "pong" }));
    }
  }

  open();
  return () => { closed = true; clearTimeout(timer); socket.close(1000); };
}
