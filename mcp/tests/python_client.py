"""A session with the protocol's Python client (pip install mcp): python_client.py VMLEAK-MCP, from the root
of the repository. Prints what was asked and answered."""

import asyncio
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

CALLS = [
    ("objects", {"cache": "leaky_session", "state": "allocated", "max_rows": 60}, '"of":350'),
    ("slabs", {"max_rows": 3}, "how_to_ask_on"),
    ("sysctl", {"pattern": ["kernel.ostype"]}, "Linux"),
    ("slabs", {"output": "/tmp/x"}, "slabs takes no output"),
    ("objects", {"cache": "/etc/passwd"}, "no slab cache is called"),
]


async def main():
    files = ["corpora/small-6.12/vmcore", "corpora/small-6.12/vmlinux", "--max-bytes", "20000"]
    server = StdioServerParameters(command=sys.argv[1], args=files)
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        tools = (await session.list_tools()).tools
        assert {"leaks", "slabs", "objects"} <= {tool.name for tool in tools}
        for name, arguments, wanted in CALLS:
            text = (await session.call_tool(name, arguments)).content[0].text
            assert wanted in text and len(text) <= 20000, text[:300]
            print(f"{name} {arguments}: {len(text)} bytes: … {wanted}")
    print(f"ok: {len(tools)} tools")


asyncio.run(main())
