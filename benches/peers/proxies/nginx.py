"""A place -> nginx in front of it.

In: paths, a port, the variant. Out: a configuration and its command. Never: a master process: one process is the worker.
"""

NAME = "nginx"
PROGRAM = "nginx"
CAN = {"http", "websocket", "upload", "files", "fastcgi", "fastcgi kept", "log", "idle"}

CONFIGURATION = """
daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 20000;
pid {scratch}/pid; error_log {scratch}/error.log error;
events {{ worker_connections 16384; }}
http {{
  access_log {log};
  sendfile on; tcp_nopush on; keepalive_requests 100000000;
  client_max_body_size 0;
  client_body_temp_path {scratch}/1; proxy_temp_path {scratch}/2; fastcgi_temp_path {scratch}/3; uwsgi_temp_path {scratch}/4;
  scgi_temp_path {scratch}/5;
  upstream app {{ server unix:{app}; keepalive 1024; keepalive_requests 100000000; }}
  upstream php {{ server unix:{php}; {php_keepalive} }}
  server {{
    listen 127.0.0.1:{port};
    root {documents};
    proxy_http_version 1.1; proxy_request_buffering off; proxy_max_temp_file_size 0;
    proxy_set_header Host $http_host; proxy_set_header Connection "";
    proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;
    location / {{ proxy_pass http://app; }}
    location /files/ {{ }}
    location = /echo {{
      proxy_pass http://app;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
      proxy_set_header Host $http_host; proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;
    }}
    location = /hello.php {{
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME {documents}/hello.php;
      fastcgi_pass php; {fastcgi_keep}
    }}
  }}
}}
"""


def command(program, place, scratch, port, variant):
    """Writes the configuration; returns the command and its environment."""
    file = scratch / "nginx.conf"
    text = CONFIGURATION.format(
        scratch=scratch,
        log=f"{scratch}/access.log combined" if variant.access_log else "off",
        app=place.app_socket,
        php=place.php_socket,
        documents=place.documents,
        port=port,
        php_keepalive="keepalive 8; keepalive_requests 100000000;" if variant.kept else "",
        fastcgi_keep="fastcgi_keep_conn on;" if variant.kept else "",
    )
    file.write_text(text, encoding="utf-8")
    return [program, "-p", scratch, "-c", file], {}
