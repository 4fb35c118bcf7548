```dockerfile
FROM debian
RUN a
```
